"""Writes shards with Ray: one process of the program for each shard, two at a time.

Usage: ray_batch.py SHARDS BACKGROUND, the folder and the file of `idiolect export --parquet --background`.
Needs `ray[data]`. Ray needs one CPU more than workers, to read.
"""

import subprocess
import sys
from pathlib import Path

import ray

shards, background = sys.argv[1:]


def write(row):
    out = f"{row['shard']}.parquet"
    command = ["idiolect", "--quiet", "--threads", "1", "batch", "--input", row["shard"], "--out", out]
    subprocess.run([*command, "--background", background], check=True)
    return {"texts": out}


ray.init(num_cpus=3, include_dashboard=False)
rows = [{"shard": str(path)} for path in sorted(Path(shards).absolute().glob("shard=*")) if path.is_dir()]
for row in ray.data.from_items(rows).map(write, num_cpus=1, concurrency=2).take_all():
    print(row["texts"])
