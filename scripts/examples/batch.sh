#!/bin/sh
# Writes all shards with two workers. A killed run goes on where it was: tables that are there are not made again.
# Usage: batch.sh STORE SPLIT OUT
set -eu
store=$1 split=$2 out=$3
if [ ! -e "$out/background.json" ]; then
    idiolect --store "$store" export --parquet "$out/shards" --shards 16 --split "$split" \
        --background "$out/background.json"
fi
for shard in "$out"/shards/shard=*; do echo "$shard"; done |
    xargs -P 2 -I{} idiolect --quiet batch --input {} --background "$out/background.json" --out {}.parquet
