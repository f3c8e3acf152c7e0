"""Random weights in the formats of GGUF, as bytes (numpy) and as numbers (PyTorch).

A weight has mean 0 and about the standard deviation that is asked for. Both formats are super-blocks of 256
weights as ggml defines them (ggml-quants.c, `dequantize_row_q4_K` and `dequantize_row_q6_K`).
"""

import hashlib

import numpy as np

BLOCKS = {
    "Q4_K": np.dtype([("d", "<f2"), ("min", "<f2"), ("scales", "u1", 12), ("quants", "u1", 128)]),
    "Q6_K": np.dtype([("low", "u1", 128), ("high", "u1", 64), ("scales", "i1", 16), ("d", "<f2")]),
}
# Standard deviation of the weights of a block with d = 1 and random other parts.
SPREAD = {"Q4_K": 258.3, "Q6_K": 1365.6}


def random_bytes(name, shape, form, deviation):
    """The bytes of a tensor, which depend on its name, shape and format alone."""
    dtype = BLOCKS[form]
    n_bytes = int(np.prod(shape)) // 256 * dtype.itemsize
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    drawn = np.random.Generator(np.random.SFC64(seed)).integers(0, 2**64, -(-n_bytes // 8), np.uint64)
    drawn = drawn.view(np.uint8)[:n_bytes]
    blocks, scale = drawn.view(dtype), deviation / SPREAD[form]
    blocks["d"] = scale
    if form == "Q4_K":
        # Quants have the mean 7.5, so this gives weights the mean 0.
        blocks["min"] = 7.5 * scale
    return drawn


def numbers(data, shape, form):
    """The weights in f32, from a tensor of PyTorch with their bytes."""
    import torch

    rows = data.view(-1, BLOCKS[form].itemsize)
    number = lambda at: rows[:, at : at + 2].contiguous().view(torch.float16).float()
    if form == "Q4_K":
        return numbers_4(rows, number(0), number(2)).view(*shape)
    return numbers_6(rows, number(208)).view(*shape)


def numbers_4(rows, d, least):
    import torch

    first, second, third = rows[:, 4:8], rows[:, 8:12], rows[:, 12:16]
    scales = torch.cat([first & 63, (third & 15) | (first >> 6 << 4)], 1).float() * d
    mins = torch.cat([second & 63, (third >> 4) | (second >> 6 << 4)], 1).float() * least
    # Of each 32 bytes, the lower halves are a group of 32 weights and the upper halves the next group.
    quants = rows[:, 16:].reshape(-1, 4, 1, 32)
    quants = torch.cat([quants & 15, quants >> 4], 2).reshape(-1, 8, 32)
    return scales[:, :, None] * quants - mins[:, :, None]


def numbers_6(rows, d):
    import torch

    # Each half has four groups of 32 weights: the lower four bits of 64 bytes, then the upper.
    low, high = rows[:, :128].reshape(-1, 2, 2, 32), rows[:, 128:192].reshape(-1, 2, 1, 32)
    lower = torch.cat([low & 15, low >> 4], 2)
    upper = torch.cat([(high >> shift & 3) << 4 for shift in (0, 2, 4, 6)], 2)
    scales = rows[:, 192:208].contiguous().view(torch.int8).reshape(-1, 2, 4, 2).float() * d[:, :, None, None]
    return scales.repeat_interleave(16, dim=3) * ((lower | upper).float() - 32)
