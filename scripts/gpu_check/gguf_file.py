"""Writes GGUF files (version 3) with numbers from a generator; no package but the standard library."""

import struct

ALIGNMENT = 32
# Type of a tensor's format in the file, numbers in a block, bytes of a block.
FORMATS = {"F32": (0, 1, 4), "Q8_0": (8, 32, 34), "Q4_K": (12, 256, 144), "Q6_K": (14, 256, 210)}
# Types of metadata: of the file, and how they are packed.
UINT, FLOAT, TRUTH, TEXT, ARRAY = 4, 6, 7, 8, 9
PACKED = {UINT: "<I", FLOAT: "<f", TRUTH: "<?"}


def size(shape, form):
    """Bytes of a tensor."""
    _, numbers, a_block = FORMATS[form]
    n = 1
    for extent in shape:
        n *= extent
    if shape[-1] % numbers:
        raise ValueError(f"rows of {shape[-1]} numbers do not fill blocks of {form}")
    return n // numbers * a_block


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def metadata(name, kind, value):
    """A pair of the file. A list has elements of `kind`."""
    one = text if kind == TEXT else lambda element: struct.pack(PACKED[kind], element)
    if isinstance(value, list):
        head = struct.pack("<IIQ", ARRAY, kind, len(value))
        return text(name) + head + b"".join(map(one, value))
    return text(name) + struct.pack("<I", kind) + one(value)


def write(path, values, tensors):
    """Writes metadata, a list of (name, kind, value), and tensors, a list of (name, shape with the outermost
    extent first, format, function that returns the bytes). Each tensor is made when it is written."""
    at, infos = 0, []
    for name, shape, form, _ in tensors:
        dims = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        infos.append(text(name) + dims + struct.pack("<IQ", FORMATS[form][0], at))
        at += padded(size(shape, form))
    with open(path, "wb") as out:
        out.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values)))
        for value in values:
            out.write(metadata(*value))
        for info in infos:
            out.write(info)
        out.write(bytes(padded(out.tell()) - out.tell()))
        for name, shape, form, make in tensors:
            data = make()
            if len(data) != size(shape, form):
                raise ValueError(f"{name} has {len(data)} bytes of {size(shape, form)}")
            out.write(data)
            out.write(bytes(padded(len(data)) - len(data)))


def padded(n):
    return -(-n // ALIGNMENT) * ALIGNMENT
