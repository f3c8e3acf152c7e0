"""Writes shards with Spark: one process of the program for each shard, then one table of all texts.

Usage: spark_batch.py SHARDS BACKGROUND [WORKERS], the folder and the file of `idiolect export --parquet --background`.
Needs `pyspark` and Java; on a cluster both paths lie on a disk that all workers share.
"""

import subprocess
import sys
from pathlib import Path

from pyspark.sql import SparkSession

shards, background, workers = [*sys.argv[1:], 2][:3]


def write(shard):
    command = ["idiolect", "--quiet", "--threads", "1", "batch", "--input", shard, "--out", f"{shard}.parquet"]
    subprocess.run([*command, "--background", background], check=True)
    return f"{shard}.parquet"


spark = SparkSession.builder.master(f"local[{workers}]").getOrCreate()
folders = sorted(str(path) for path in Path(shards).absolute().glob("shard=*") if path.is_dir())
tables = spark.sparkContext.parallelize(folders, len(folders)).map(write).collect()
spark.read.parquet(*tables).groupBy("method", "finish").count().show()
