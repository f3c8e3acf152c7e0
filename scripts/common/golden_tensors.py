"""Tensors of the tiny models of each family: numbers with the same bits everywhere. Needs numpy."""

import numpy as np


def numbers(name, n):
    """`n` numbers from -2^23 to 2^23 - 1: the upper 24 bits of SplitMix64, seeded by FNV-1a of `name`."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & (2**64 - 1)
    with np.errstate(over="ignore"):
        state = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return (state >> np.uint64(40)).astype(np.int64) - 2**23


def tensor_bytes(name, shape, form, centre, spread):
    n = int(np.prod(shape))
    drawn = numbers(name, n)
    if form == "F32":
        unit = drawn.astype(np.float32) / np.float32(2**23)
        values = np.float32(centre) + np.float32(spread) * unit
        return values.astype("<f4").tobytes()
    # Q8_0: blocks of 32 numbers, a scale in f16 and the quants. The upper eight bits are the quants.
    scale = (np.float32(spread) / np.float32(127)).astype("<f2").tobytes()
    quants = np.maximum(drawn >> 16, -127).astype(np.int8).reshape(-1, 32)
    return b"".join(scale + row.tobytes() for row in quants)
