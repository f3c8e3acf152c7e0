"""Writes shards with Ray: one process of the program for each shard, two at a time or as many as the third argument says.

Usage: ray_batch.py SHARDS BACKGROUND [WORKERS], the folder and the file of `idiolect export --parquet --background`.
Needs `ray[data]`. Ray needs one CPU more than workers, to read.
"""

import subprocess
import sys
from pathlib import Path

import ray

shards, background, workers = [*sys.argv[1:], 2][:3]


def write(row):
    out = f"{row['shard']}.parquet"
    command = ["idiolect", "--quiet", "--threads", "1", "batch", "--input", row["shard"], "--out", out]
    subprocess.run([*command, "--background", background], check=True)
    return {"texts": out}


ray.init(num_cpus=int(workers) + 1, include_dashboard=False)
rows = [{"shard": str(path)} for path in sorted(Path(shards).absolute().glob("shard=*")) if path.is_dir()]
for row in ray.data.from_items(rows).map(write, num_cpus=1, concurrency=int(workers)).take_all():
    print(row["texts"])
