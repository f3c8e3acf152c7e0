"""Models with random weights, as GGUF files, for machines to which no weights can be carried."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from golden_tensors import tensor_bytes

from . import gguf_file as gguf
from . import quantized

GOLDEN = Path(__file__).resolve().parent.parent.parent / "tests" / "golden" / "families.json"
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NORMAL, CONTROL = 1, 3


def byte_tokens():
    """Names of the 256 bytes in vocabularies of byte-level BPE."""
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in printed else chr(next(others)) for byte in range(256)]


def tokenizer(n_vocab):
    """Metadata of a vocabulary whose tokens are bytes, fillers, and three control tokens at the end."""
    names = byte_tokens()[: n_vocab - 4]
    # A vocabulary has at least one merge.
    first, second = names[:2]
    names.append(first + second)
    names += [f"filler{i}" for i in range(n_vocab - 3 - len(names))]
    kinds = [NORMAL] * len(names) + [CONTROL] * 3
    names += ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return [
        ("tokenizer.ggml.model", gguf.TEXT, "gpt2"),
        ("tokenizer.ggml.pre", gguf.TEXT, "qwen2"),
        ("tokenizer.ggml.tokens", gguf.TEXT, names),
        ("tokenizer.ggml.token_type", gguf.UINT, kinds),
        ("tokenizer.ggml.merges", gguf.TEXT, [f"{first} {second}"]),
        ("tokenizer.ggml.eos_token_id", gguf.UINT, n_vocab - 1),
        ("tokenizer.ggml.add_bos_token", gguf.TRUTH, False),
        ("tokenizer.chat_template", gguf.TEXT, CHAT),
    ]


@dataclass
class Shape:
    """Sizes of a model of the architecture qwen2."""

    name: str
    layers: int
    width: int
    inner: int
    heads: int
    kv_heads: int
    vocabulary: int
    context: int

    @property
    def head(self):
        return self.width // self.heads

    def tensors(self):
        """(name, shape, format, standard deviation); norms and biases are no random tensors."""
        # A sum over a row keeps the size of its inputs.
        narrow, wide = self.width**-0.5, self.inner**-0.5
        keys = self.kv_heads * self.head
        yield "token_embd.weight", [self.vocabulary, self.width], "Q4_K", 1.0
        yield "output.weight", [self.vocabulary, self.width], "Q6_K", 2 * narrow
        for layer in range(self.layers):
            at = f"blk.{layer}."
            # As in files of Q4_K_M, values and the second product of half of the layers have six bits.
            more = "Q6_K" if layer % 2 == 0 else "Q4_K"
            yield at + "attn_q.weight", [self.width, self.width], "Q4_K", narrow
            yield at + "attn_k.weight", [keys, self.width], "Q4_K", narrow
            yield at + "attn_v.weight", [keys, self.width], more, narrow
            yield at + "attn_output.weight", [self.width, self.width], "Q4_K", narrow
            yield at + "ffn_gate.weight", [self.inner, self.width], "Q4_K", narrow
            yield at + "ffn_up.weight", [self.inner, self.width], "Q4_K", narrow
            yield at + "ffn_down.weight", [self.width, self.inner], more, wide

    def bias(self, name, n):
        """Numbers from -0.5 to 0.5, which depend on the name alone."""
        seed = sum(name.encode())
        return ((np.arange(n, dtype=np.uint64) * 2654435761 + seed) % 2048).astype("<f4") / 2048 - np.float32(0.5)

    def biases(self):
        keys = self.kv_heads * self.head
        for layer in range(self.layers):
            for part, n in [("q", self.width), ("k", keys), ("v", keys)]:
                yield f"blk.{layer}.attn_{part}.bias", n

    def norms(self):
        yield "output_norm.weight"
        for layer in range(self.layers):
            yield f"blk.{layer}.attn_norm.weight"
            yield f"blk.{layer}.ffn_norm.weight"


# The shape of Qwen2.5-7B-Instruct (its config.json), and two that a CPU can run.
QWEN_7B = Shape("random-qwen2.5-7b", 28, 3584, 18944, 28, 4, 152064, 32768)
SMALL = Shape("random-small", 4, 512, 1536, 8, 2, 1024, 8192)
TINY = Shape("random-tiny", 2, 256, 512, 4, 2, 512, 4096)
SHAPES = {shape.name: shape for shape in (QWEN_7B, SMALL, TINY)}


def write_shape(shape, path):
    """Writes the file of a shape."""
    key = lambda name: f"qwen2.{name}"
    values = [
        ("general.architecture", gguf.TEXT, "qwen2"),
        (key("block_count"), gguf.UINT, shape.layers),
        (key("context_length"), gguf.UINT, shape.context),
        (key("embedding_length"), gguf.UINT, shape.width),
        (key("feed_forward_length"), gguf.UINT, shape.inner),
        (key("attention.head_count"), gguf.UINT, shape.heads),
        (key("attention.head_count_kv"), gguf.UINT, shape.kv_heads),
        (key("attention.layer_norm_rms_epsilon"), gguf.FLOAT, 1e-6),
        (key("rope.freq_base"), gguf.FLOAT, 1e6),
    ]
    ones = np.ones(shape.width, "<f4").tobytes()
    tensors = [(name, [shape.width], "F32", lambda: ones) for name in shape.norms()]
    tensors += [(name, [n], "F32", lambda name=name, n=n: shape.bias(name, n).tobytes()) for name, n in shape.biases()]
    for name, extents, form, deviation in shape.tensors():
        make = lambda of=(name, extents, form, deviation): quantized.random_bytes(*of).data
        tensors.append((name, extents, form, make))
    gguf.write(path, values + tokenizer(shape.vocabulary), tensors)


class Family:
    """A tiny model of a family, with llama.cpp's logits (scripts/record-families-golden)."""

    def __init__(self, case, golden):
        self.name, self.case = case["name"], case
        self.tokens, self.rows = golden["tokens"], golden["rows"]

    def write(self, form, path):
        kinds = {"uint": gguf.UINT, "float": gguf.FLOAT, "text": gguf.TEXT, "truths": gguf.TRUTH}
        values = [(name, kinds[kind], value) for name, kind, value in self.case["values"]]
        tensors = []
        for name, shape, of, centre, spread in self.case["tensors"]:
            of = form if of == "matrix" else of
            make = lambda on=(name, shape, of, centre, spread): tensor_bytes(*on)
            tensors.append((name, shape, of, make))
        gguf.write(path, values + tokenizer(64), tensors)

    def logits(self, form):
        return self.case["formats"][form]["logits"]


def families():
    golden = json.loads(GOLDEN.read_text())
    return [Family(case, golden) for case in golden["cases"]]
