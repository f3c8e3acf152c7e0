"""Gives most of schemathesis' requests names that exist, so that they reach what the routes do.

`scripts/test-serve-clients schemathesis` sets SCHEMATHESIS_HOOKS to this file, and NAMES to what exists.
"""

import json
import os
import random
import zlib

import schemathesis

NAMES = json.loads(os.environ["NAMES"])
# How many of ten requests keep what was generated.
KEPT = 3
# Texts may be as long as the model writes them; these are short, so that many can be asked for.
LENGTHS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


WRITING = {
    "/v1/chat/completions": "max_completion_tokens",
    "/v1/completions": "max_tokens",
    "/v1/responses": "max_output_tokens",
    "/api/write": "max_tokens",
    "/api/compare": "max_tokens",
}
# A text without a limit may fill the model's window.
LONGEST, WINDOW = 32, 1 << 20


def bounded(path: str, body: dict) -> dict:
    """The body with a limit of the text where it has none, or one that a whole window is below."""
    if path not in WRITING:
        return body
    limits = [name for name in LENGTHS if body.get(name) is not None]
    long = {name: LONGEST for name in limits if type(body[name]) is int and LONGEST < body[name] < WINDOW}
    return {**body, **long} if limits else {**body, WRITING[path]: LONGEST}


def models(path: str) -> list:
    plain, personal = NAMES["lm"], f"{NAMES['lm']}+idiolect"
    return [NAMES["encoder"]] if path == "/v1/embeddings" else [plain, plain, personal]


@schemathesis.hook
def map_case(context, case):
    method, path = case.operation.method.upper(), case.operation.path
    seen = f"{method} {path} {case.path_parameters} {case.query} {case.body}"
    choice = random.Random(zlib.crc32(seen.encode("utf-8", "surrogatepass")))
    if isinstance(case.body, dict):
        case.body = bounded(path, case.body)
    if choice.randrange(10) < KEPT:
        return case
    kinds = {"/api/users/": "users", "/api/items/": "items", "/api/evaluations/": "reports"}
    kind = next((kinds[start] for start in kinds if path.startswith(start)), "models")
    # The users stay for the other requests.
    if case.path_parameters and method != "DELETE":
        known = models("") if kind == "models" else NAMES[kind]
        case.path_parameters = {**case.path_parameters, "id": choice.choice(known)}
    known = {"user": NAMES["users"], "item": NAMES["items"], "model": models(path)}
    if isinstance(case.query, dict):
        case.query = {**case.query, **{name: choice.choice(known[name]) for name in case.query if name in known}}
    if isinstance(case.body, dict):
        body = {**case.body, **{name: choice.choice(known[name]) for name in case.body if name in known}}
        body.update({name: choice.randrange(1, 9) for name in LENGTHS if isinstance(body.get(name), int)})
        if path == "/api/compare":
            body["columns"] = [{"user": choice.choice(NAMES["users"]), "method": "scp"} for _ in range(2)]
        if path in ("/api/write", "/api/compare"):
            body["max_tokens"] = choice.randrange(1, 9)
        case.body = body
    return case
