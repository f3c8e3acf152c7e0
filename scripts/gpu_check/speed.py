"""Speed on a device beside transformers' batched `generate` with the same weights, in turns."""

import concurrent.futures
import json
import statistics
import time

from . import models
from .checks import Engine, complete, texts

# Name, sequences, tokens of each prompt, tokens of each text, and the tokens that are counted.
CASES = [
    ("prompt of 2,048", 1, 2048, 1, "prompt"),
    ("one text", 1, 32, 128, "text"),
    ("8 texts together", 8, 32, 128, "text"),
    ("job: 64 texts after prompts of 256", 64, 256, 128, "text"),
]
ROUNDS = 5


def bench(run, path):
    """The decoder alone, by `idiolect bench`."""
    asked = ["--only", "prefill,decode,batched-decode", "--sequences", "8,64", "--prompt", "512,2048", "--depth", "0"]
    engine = Engine(run, path, run.device, "--kv-budget", run.kv_budget)
    told = json.loads(engine.call("--json", "bench", *asked, "--tokens", 32, "--runs", 3))
    for result in told["results"]:
        yield {
            "what": f"{result['name']}, {result['n_seq']} together, {result['n_tokens']} tokens",
            "ours": result["median"],
            "unit": result["unit"],
            "range": [result["min"], result["max"]],
        }


def ours(server, prompts, n):
    """Seconds of one text of `n` tokens after each prompt."""
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(len(prompts)) as pool:
        ask = lambda ids: complete(server, ids, max_tokens=n, return_token_ids=True)["token_ids"]
        lists = list(pool.map(ask, prompts))
    seconds = time.monotonic() - begin
    if any(len(ids) != n for ids in lists):
        raise RuntimeError(f"texts of {sorted({len(ids) for ids in lists})} tokens where {n} were asked for")
    return seconds


def beside(run, shape, path):
    """Tokens a second of both in each case: medians, ranges, ratio of the medians."""
    engine = Engine(run, path, run.device, "--kv-budget", run.kv_budget)
    dtype = "float32" if run.device == "cpu" else "bfloat16"
    with run.peer(shape, dtype) as peer, engine.served() as server:
        times = {case[0]: {"ours": [], "theirs": []} for case in CASES}
        for number in range(-1, run.rounds):
            for name, n_seq, n_prompt, n, _ in CASES:
                if number > 0 and run.left() < run.reserve:
                    break
                # No prompt comes twice, so that no prefix is in a cache.
                seed = 1000 * (number + 2) + n_prompt + n_seq
                prompts = texts(n_seq, n_prompt, shape.vocabulary - 4, seed)
                both = {"ours": lambda: ours(server, prompts, n)}
                if peer is not None:
                    both["theirs"] = lambda: peer.ask("generate", prompts=prompts, n=n)["seconds"]
                for side in sorted(both, reverse=number % 2 == 1):
                    seconds = both[side]()
                    # The first round warms up.
                    if number >= 0:
                        times[name][side].append(seconds)
        for name, n_seq, n_prompt, n, counted in CASES:
            yield row(name, n_seq * (n if counted == "text" else n_prompt), times[name])


def row(name, n_tokens, seconds):
    rates = {side: [n_tokens / one for one in measured] for side, measured in seconds.items() if measured}
    told = {"what": name, "unit": "tokens/s", "rounds": len(seconds["ours"])}
    for side, values in rates.items():
        told |= {side: statistics.median(values), f"{side}_range": [min(values), max(values)]}
    if {"ours", "theirs"} <= told.keys():
        told["ratio"] = told["ours"] / told["theirs"]
    return told


