"""transformers with the weights of a shape of models.py: the peer of the speed check.

    python3 -m gpu_check.peer SHAPE DEVICE DTYPE

Prints a JSON line when the model is loaded, then answers lines of stdin with lines of stdout:

    {"do": "logprobs", "tokens": [...]}                natural logarithms of the probabilities of tokens[1:]
    {"do": "generate", "prompts": [[...], ...], "n": N}    seconds and ids of N greedy tokens after each prompt,
                                                       all prompts of one length, in one batch
"""

import json
import os
import sys
import time

# The output belongs to the lines of JSON.
OUT = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"

import torch  # noqa: E402
import transformers  # noqa: E402

from . import models, quantized  # noqa: E402

PARTS = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def named(name):
    """The name of transformers for a tensor of a GGUF file."""
    whole = {"token_embd.weight": "model.embed_tokens.weight", "output.weight": "lm_head.weight"}
    if name in whole:
        return whole[name]
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{PARTS[part]}.{kind}"


def load(shape, device, dtype):
    config = transformers.Qwen2Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=shape.context,
        rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=False,
    )
    with torch.device(device), torch.no_grad():
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)
        model.eval()
        tensors = dict(model.named_parameters())
        for name, parameter in tensors.items():
            if "norm" in name:
                parameter.fill_(1.0)
        for name, extents, form, deviation in shape.tensors():
            data = torch.from_numpy(quantized.random_bytes(name, extents, form, deviation)).to(device)
            tensors[named(name)].copy_(quantized.numbers(data, extents, form))
        for name, n in shape.biases():
            tensors[named(name)].copy_(torch.from_numpy(shape.bias(name, n)))
    model.generation_config = transformers.GenerationConfig(pad_token_id=0, do_sample=False)
    return model


def logprobs(model, tokens):
    ids = torch.tensor([tokens], device=model.device)
    logits = model(ids).logits[0, :-1].float()
    chosen = torch.log_softmax(logits, -1).gather(1, ids[0, 1:, None])
    return {"logprobs": chosen[:, 0].tolist()}


def generate(model, prompts, n):
    begin = time.monotonic()
    ids = torch.tensor(prompts, device=model.device)
    out = model.generate(ids, attention_mask=torch.ones_like(ids), min_new_tokens=n, max_new_tokens=n)
    written = out[:, ids.shape[1] :].tolist()
    return {"seconds": time.monotonic() - begin, "ids": written}


def main():
    name, device, dtype = sys.argv[1:]
    model = load(models.SHAPES[name], device, getattr(torch, dtype))
    print(json.dumps({"loaded": name}), file=OUT, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        do = {"logprobs": logprobs, "generate": generate}[asked.pop("do")]
        with torch.no_grad():
            answer = do(model, **asked)
        print(json.dumps(answer), file=OUT, flush=True)


main()
