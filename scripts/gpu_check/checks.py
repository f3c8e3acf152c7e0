"""Checks of what the decoder computes on a device. Each returns rows: what was compared, the figure, its limit."""

import concurrent.futures
import json
import math
import subprocess

from served import Served

from . import models

# Largest difference from llama.cpp's logits, relative to the largest of them, as in the tests of the decoder
# (src/engine/lm/decoder/families_tests.rs). A log-probability differs by a logit and by the sum, so by twice that.
FAMILY_LIMITS = {"F32": 2 * 2e-3, "Q8_0": 2 * 0.06}
# Mean difference of log-probabilities in nats, and of perplexities as a share. Activations in 8 bits alone make
# the CPU kernels differ from transformers in f32 by 0.019 nats on the small model.
MEAN_LIMIT, PERPLEXITY_LIMIT = 0.05, 0.01
LENGTH = 384


class Row:
    """One result. `limit` is None where a figure is only told."""

    def __init__(self, check, what, value, limit=None, unit=""):
        self.check, self.what, self.value, self.limit, self.unit = check, what, value, limit, unit
        self.passed = limit is None or value <= limit

    def json(self):
        return {"check": self.check, "what": self.what, "value": self.value, "limit": self.limit, "unit": self.unit,
                "passed": self.passed}


def truth(check, what, holds):
    """A row of what has to hold: 0 if it does."""
    return Row(check, what, 0 if holds else 1, 0)


class Engine:
    """The program with one device and one model."""

    def __init__(self, run, model, device, *options):
        self.run, self.model, self.device, self.options = run, model, device, options

    def command(self, *arguments):
        told = ["--quiet", "--offline", "--device", self.device, "--lm", self.model, *self.options]
        return [self.run.program, *map(str, told), *map(str, arguments)]

    def served(self):
        store = str(self.run.folder / "none.sqlite")
        command = lambda port: self.command("--store", store, "serve", "--no-encoder", "--max-queue", 256, "--port", port)
        return Served(command, wait=180, environment=self.run.environment)

    def call(self, *arguments, fine=(0,)):
        done = subprocess.run(self.command(*arguments), env=self.run.environment, capture_output=True, text=True)
        if done.returncode not in fine:
            raise RuntimeError(f"{' '.join(map(str, arguments))}: exit code {done.returncode}: {done.stderr.strip()}")
        return done.stdout


def complete(server, prompt, **more):
    body = {"model": server.model, "prompt": prompt, "temperature": 0, "ignore_eos": True} | more
    status, answer = server.ask("/v1/completions", body, timeout=600)
    if status != 200:
        raise RuntimeError(f"/v1/completions: status {status}: {answer[:500]!r}")
    return json.loads(answer)["choices"][0]


def scores(server, tokens):
    """Natural logarithms of the probabilities of tokens[1:]."""
    return complete(server, tokens, max_tokens=0, echo=True, logprobs=0)["logprobs"]["token_logprobs"][1:]


def texts(n, length=LENGTH, n_tokens=256, seed=1):
    """`n` different lists of token ids."""
    state, lists = seed, []
    for _ in range(n):
        ids = []
        for _ in range(length):
            state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
            ids.append((state >> 40) % n_tokens)
        lists.append(ids)
    return lists


def differences(ours, theirs):
    return [abs(a - b) for one, other in zip(ours, theirs, strict=True) for a, b in zip(one, other, strict=True)]


def perplexity(logprobs):
    flat = [value for one in logprobs for value in one]
    return math.exp(-sum(flat) / len(flat))


def compared(check, name, ours, theirs):
    apart = differences(ours, theirs)
    ratio = perplexity(ours) / perplexity(theirs)
    return [
        Row(check, f"log-probability, mean difference from {name}", sum(apart) / len(apart), MEAN_LIMIT, "nats"),
        Row(check, f"log-probability, largest difference from {name}", max(apart), None, "nats"),
        Row(check, f"perplexity, difference from {name}", abs(ratio - 1), PERPLEXITY_LIMIT),
    ]


def families(run):
    """The tiny models of all families beside llama.cpp's logits."""
    for family in models.families():
        for form, limit in FAMILY_LIMITS.items():
            path = run.folder / "family.gguf"
            family.write(form, path)
            with Engine(run, path, run.device).served() as server:
                ours = scores(server, family.tokens)
            apart = []
            for row, logits in zip(family.rows, family.logits(form)):
                if row + 1 < len(family.tokens):
                    top = max(logits)
                    total = top + math.log(sum(math.exp(logit - top) for logit in logits))
                    apart.append(abs(ours[row] - (logits[family.tokens[row + 1]] - total)))
            largest = max(abs(logit) for row in family.logits(form) for logit in row)
            yield Row("families", f"{family.name}, {form}: difference from llama.cpp", max(apart) / largest, limit)


def agreement(run):
    """Scores of the device beside those of the CPU, and, if it is there, those of transformers in f32."""
    lists = texts(8)
    found = {}
    for device in dict.fromkeys([run.device, "cpu"]):
        with Engine(run, run.small, device).served() as server:
            found[device] = [scores(server, ids) for ids in lists]
    if run.device != "cpu":
        yield from compared("scores", "the CPU", found[run.device], found["cpu"])
    with run.peer(models.SMALL, "float32") as peer:
        if peer is None:
            return
        theirs = [peer.ask("logprobs", tokens=ids)["logprobs"] for ids in lists]
    yield from compared("scores", "transformers in f32", found[run.device], theirs)


def exact(run, check, what, ours, theirs):
    """Equal bits on the CPU, where the program promises them; elsewhere a small difference."""
    apart = differences(ours, theirs)
    equal = sum(value == 0 for value in apart) / len(apart)
    if run.device == "cpu":
        return [truth(check, f"{what}: same bits", equal == 1)]
    return [
        Row(check, f"{what}: mean difference", sum(apart) / len(apart), MEAN_LIMIT, "nats"),
        Row(check, f"{what}: share with the same bits", equal),
    ]


def written(choice):
    return choice["token_ids"], choice["logprobs"]["token_logprobs"]


def prefix_cache(run):
    """Texts after a prompt that shares its beginning with others, with and without the prefix cache."""
    shared, *ends = texts(5, 200, seed=7)
    ask = lambda server, end: written(complete(server, shared + end, max_tokens=32, logprobs=0, return_token_ids=True))
    with Engine(run, run.small, run.device).served() as server:
        warm = [ask(server, end) for end in ends]
        again = [ask(server, end) for end in ends]
    with Engine(run, run.small, run.device, "--no-shared-prefixes").served() as server:
        cold = [ask(server, end) for end in ends]
    first = lambda all_of: [[logprobs[0]] for _, logprobs in all_of]
    yield from exact(run, "prefix cache", "first token after a shared prefix", first(warm), first(cold))
    yield from exact(run, "prefix cache", "first token after the same prompt", first(again), first(cold))
    yield Row("prefix cache", "texts of 32 tokens equal to those without", same(warm, cold), None)


def same(ours, theirs):
    """Share of texts with the same tokens."""
    return sum(a[0] == b[0] for a, b in zip(ours, theirs)) / len(ours)


def batches(run):
    """Texts that are written alone and in company."""
    lists = texts(run.batch, 64, seed=11)
    ask = lambda server, ids: written(complete(server, ids, max_tokens=24, logprobs=0, return_token_ids=True))
    few = lists[: 8]
    with Engine(run, run.small, run.device, "--no-shared-prefixes").served() as server:
        alone = [ask(server, ids) for ids in few]
        with concurrent.futures.ThreadPoolExecutor(len(lists)) as pool:
            together = list(pool.map(lambda ids: ask(server, ids), lists))[: len(few)]
    first = lambda all_of: [[logprobs[0]] for _, logprobs in all_of]
    what = f"first token, alone and among {len(lists)}"
    yield from exact(run, "batches", what, first(together), first(alone))
    equal = same(together, alone)
    if run.device == "cpu":
        yield truth("batches", "texts of 24 tokens, alone and in company: same bytes", equal == 1)
    else:
        yield Row("batches", "texts of 24 tokens equal to those written alone", equal)


def steering(run):
    """Bias, seeds, expressions and schemas."""
    prompt = texts(1, 64, seed=13)[0]
    with Engine(run, run.small, run.device).served() as server:
        ids = lambda **more: complete(server, prompt, max_tokens=16, return_token_ids=True, **more)["token_ids"]
        plain = ids()
        without = ids(logit_bias={str(plain[0]): -100})
        yield truth("steering", "a token with a bias of -100 is not written", plain[0] not in without)
        yield truth("steering", "a token with a bias of 100 is written", ids(logit_bias={"65": 100}) == [65] * 16)
        drawn = lambda seed: ids(temperature=1, seed=seed)
        yield truth("steering", "a seed gives the same tokens again", drawn(3) == drawn(3))
        yield truth("steering", "another seed gives others", drawn(3) != drawn(4))
        schema = {
            "type": "object",
            "properties": {"stars": {"type": "integer", "minimum": 1, "maximum": 5}, "good": {"type": "boolean"}},
            "required": ["stars", "good"],
            "additionalProperties": False,
        }
        form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        body = {"model": server.model, "messages": [{"role": "user", "content": "A kettle"}], "max_tokens": 64,
                "response_format": form, "temperature": 0}
        status, answer = server.ask("/v1/chat/completions", body)
        content = json.loads(answer)["choices"][0]["message"]["content"] if status == 200 else "null"
        value = json.loads(content)
        fits = isinstance(value, dict) and set(value) == {"stars", "good"} and value["stars"] in range(1, 6)
        yield truth("steering", "a text satisfies its JSON schema", fits)


def methods(run):
    """Likelihood of held-out texts of the sample corpus under methods that read and steer logits."""
    bits = {}
    for device in dict.fromkeys([run.device, "cpu"]):
        store = run.folder / f"{device.replace(':', '-')}.sqlite"
        engine = Engine(run, run.small, device, "--store", store)
        sample = run.root / "data" / "sample"
        engine.call("import", "--format", "table", "--reviews", sample / "reviews.jsonl", "--items", sample / "items.jsonl")
        engine.call("split", "--preset", "none")
        asked = ["--methods", "scp,idiolect", "--measures", "likelihood", "--wrong-users", 1, "--users", 2, "--n", 2]
        report = json.loads(engine.call("evaluate", *asked, "--json"))
        for method, figures in report["methods"].items():
            for measure in ("bits_right", "bits_wrong"):
                bits[device, method, measure] = figures[measure]["mean"]
    for (device, method, measure), value in bits.items():
        if device == run.device:
            apart = abs(value - bits["cpu", method, measure])
            yield Row("methods", f"{method}, {measure}: difference from the CPU", apart, MEAN_LIMIT / math.log(2), "bits")


ALL = {
    "families": families,
    "scores": agreement,
    "prefix cache": prefix_cache,
    "batches": batches,
    "steering": steering,
    "methods": methods,
}
