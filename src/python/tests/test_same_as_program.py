"""The package and the program give the same bytes and the same objects."""

import array
import json

import pytest

import idiolect
from conftest import COLUMNS, LM, MAP, SAMPLE


@pytest.fixture(scope="module")
def targets(full_store):
    """Two users and an item that each has written on."""
    engine = idiolect.Engine(full_store, progress=False)
    users = [user.user for user in engine.users(limit=2)]
    return [(user, engine.history(user)[-1].item) for user in users]


@pytest.mark.parametrize("method", ["non-perso", "rag", "scp", "idiolect", "dpl"])
def test_write(method, targets, program, copied, engine_of):
    (user, item), _ = targets
    options = ["--method", method, "--seed", "7", "--max-tokens", "24", "--rating", "2", "--title", "It is flat"]
    if method == "dpl":
        options += ["--profile-max-tokens", "24", "--n", "1", "--k", "2"]
    told = program.json("write", "--user", user, "--item", item, *options, store=copied("program"))
    settings = {"profile_max_tokens": 24, "n": 1, "k": 2} if method == "dpl" else {}
    written = engine_of(copied("package")).write(
        user, item, method=method, seed=7, max_tokens=24, rating=2, title="It is flat", **settings
    )
    assert dict(written) == told
    assert written.text == told["text"] and written.text
    assert str(written) == written.text


def test_write_with_settings_and_reasons(targets, program, copied, engine_of):
    user, item = targets[1]
    options = ["--lexical", "0.8", "--temperature", "0.7", "--form", "flat", "--max-tokens", "16", "--why"]
    told = program.json("write", "--user", user, "--item", item, *options, store=copied("program"))
    engine = engine_of(copied("package"))
    keys = {"idiolect.lexical": 0.8, "sampling.temperature": 0.7, "max-tokens": 99, "form": "conversation"}
    del keys["form"]
    written = engine.write(user, item, settings=keys, form="flat", max_tokens=16, why=True)
    assert dict(written) == told
    assert written.settings["idiolect"]["lexical"] == 0.8
    assert written.why == told["why"] and len(written.why) > 1


def test_a_stream_is_the_text_in_pieces(targets, copied, engine_of):
    user, item = targets[0]
    text = engine_of(copied("whole")).write(user, item, max_tokens=24).text
    stream = engine_of(copied("pieces")).stream(user, item, max_tokens=24, why=True)
    pieces = list(stream)
    assert "".join(piece.text for piece in pieces) == text
    assert len(pieces) > 3
    assert stream.written.text == text
    tokens = [token for piece in pieces for token in piece.tokens]
    assert len(tokens) > 3 and all(token["logprob"] <= 0 for token in tokens)
    assert pieces[1].logprob < 0


def test_many_texts_are_those_of_single_calls(targets, copied, engine_of):
    engine = engine_of(copied("many"))
    asked = [{"user": user, "item": item} for user, item in targets]
    asked.insert(1, {"user": "nobody", "item": targets[0][1]})
    rows = engine.write_many(asked, methods=["non-perso", "rag"], max_tokens=16, seed=3).to_list()
    assert [(row.user, row.method) for row in rows] == [
        (target["user"], method) for target in asked for method in ("non-perso", "rag")
    ]
    assert [row.error is None for row in rows] == [True, True, False, False, True, True]
    assert "`nobody` is not in the store" in rows[2].error and rows[2].text is None
    single = engine_of(copied("single"))
    for row in rows:
        if row.error is None:
            assert dict(row) == dict(single.write(row.user, row.item, method=row.method, max_tokens=16, seed=3))


def test_completion_and_score(lm, program, full_store, tmp_path):
    sampling = ["--temperature", "0.8", "--top-k", "40", "--seed", "5", "--max-tokens", "20"]
    told = program.json("lm", "complete", "--chat", "--prompt", "Name a tea.", *sampling, store=full_store)
    options = {"chat": True, "temperature": 0.8, "top_k": 40, "seed": 5, "max_tokens": 20}
    completion = lm.complete("Name a tea.", **options)
    assert dict(completion) == told and completion.text
    assert "".join(lm.stream("Name a tea.", **options)) == completion.text

    prompt, text = tmp_path / "prompt", tmp_path / "text"
    prompt.write_text("The kettle")
    text.write_text(" is on the stove.")
    files = ["--prompt-file", prompt, "--continuation-file", text]
    told = program.json("lm", "score", *files, store=full_store)
    score = lm.score("The kettle", " is on the stove.")
    assert dict(score) == told
    printed = program.run("lm", "score", *files, store=full_store).stdout
    assert f"{score.bits_per_token:.4f} bits per token, perplexity {score.perplexity:.4f}" in printed
    told = program.json("lm", "tokenize", "--text", "It <|im_end|> hums.", store=full_store)
    assert lm.tokenize("It <|im_end|> hums.") == told["tokens"]


def test_a_constraint_holds(lm):
    rated = lm.complete("Rate: It leaks.", chat=True, regex="[1-5] stars?")
    assert rated.text.split()[0] in "12345" and rated.text.split()[1] in ("star", "stars")
    schema = {"type": "object", "properties": {"tea": {"type": "string", "maxLength": 8}}, "required": ["tea"]}
    assert isinstance(json.loads(lm.complete("A tea.", chat=True, json_schema=schema).text)["tea"], str)


def test_vectors(program, full_store):
    texts = ["It hums.", "", "A lamp with two dials.", "çà und 喜"]
    lines = program.run("--json", "embed", "--file", "-", store=full_store, stdin="\n".join(texts)).stdout
    told = [array.array("f", json.loads(line)).tobytes() for line in lines.splitlines()]
    embeddings = idiolect.encoder(threads=1, progress=False).embed(texts)
    assert embeddings.shape == (4, 384)
    assert embeddings.data.cast("B").tobytes() == b"".join(told)
    assert [array.array("f", row).tobytes() for row in embeddings] == told
    assert embeddings[-1] == embeddings[3] and embeddings.truncated == [False] * 4


def test_import_and_what_the_store_holds(program, tmp_path, engine_of):
    files = {"reviews": SAMPLE / "reviews.jsonl", "items": SAMPLE / "items.jsonl"}
    options = ["--reviews", files["reviews"], "--items", files["items"]]
    ours, theirs = tmp_path / "ours.sqlite", tmp_path / "theirs.sqlite"
    told = program.json("import", "--format", "table", "--map", COLUMNS, *options, store=theirs)
    engine = engine_of(ours)
    imported = engine.import_table(files["reviews"], map=MAP, items=files["items"])
    assert dict(imported) == told and imported.bad == []
    users = engine.users(min_reviews=3)
    assert users.to_dicts() == program.json("users", "--min-reviews", 3, store=theirs)["users"]
    assert dict(engine.counts()) == {name: told[name] for name in ("reviews", "users", "items")}
    user = users[0].user
    exported = program.json("export", user, store=theirs)
    texts = [review["text"] for review in exported["reviews"]]
    assert [review.text for review in engine.history(user)] == texts


def test_index_peers_and_split(targets, program, copied, engine_of):
    user, item = targets[0]
    theirs, ours = copied("program"), engine_of(copied("package"))
    assert dict(ours.index(rebuild=True)) == program.json("index", "--rebuild", store=theirs)
    told = program.json("representatives", user, item, "--k", "2", store=theirs)
    chosen = ours.representatives(user, item, k=2)
    assert dict(chosen) == told and len(chosen.representatives) == 2
    near = ours.neighbours(user, k=3)
    assert len(near) == 3 and user not in near
    told = program.json("split", "--preset", "small", "--min-reviews", "6", "--name", "six", store=theirs)
    assert dict(ours.split(preset="small", min_reviews=6, name="six")) == told


def test_profile(targets, program, copied, engine_of):
    user, item = targets[0]
    told = program.json("profile", user, store=copied("program"))
    profile = engine_of(copied("package")).profile(user)
    assert dict(profile) == told
    assert len(profile.statements) == len(told["statements"])
    assert profile.markdown.startswith("#")


def test_evaluate(program, copied, engine_of, tmp_path):
    options = ["--methods", "non-perso,rag", "--measures", "likelihood", "--users", "3", "--wrong-users", "1"]
    theirs = copied("program")
    csv = tmp_path / "program.csv"
    told = program.json("evaluate", *options, "--score-tokens", "20", "--csv", csv, store=theirs)
    report = engine_of(copied("package")).evaluate(
        ["non-perso", "rag"], measures=["likelihood"], users=3, wrong_users=1, score_tokens=20
    )
    fields = dict(report)
    assert fields["facts"].pop("command").startswith("engine.evaluate(")
    told["facts"].pop("command")
    assert fields == told
    assert report.csv == csv.read_text()
    report.save(tmp_path / "report.html")
    assert "<html" in (tmp_path / "report.html").read_text()
    assert {row.method for row in report.figures} >= {"non-perso", "rag"}
    assert all(isinstance(row.mean, float) for row in report.figures if row.mean is not None)


def test_metrics(program, full_store, tmp_path):
    predictions = ["the lamp is bright", "it hums and it leaks and it hums and it leaks"]
    references = ["the lamp is dim", "it hums"]
    history = [["the lamp"], ["it hums and it leaks and it hums and it"]]
    for name, texts in (("p", predictions), ("r", references), ("h", history)):
        (tmp_path / name).write_text("".join(json.dumps(text) + "\n" for text in texts))
    files = ["--predictions", tmp_path / "p", "--references", tmp_path / "r", "--history", tmp_path / "h"]
    told = program.json("metrics", *files, store=full_store)
    scores = idiolect.metrics.score(predictions, references, history=history)
    assert dict(scores) == told
    assert idiolect.metrics.rouge("the lamp is bright", "the lamp is dim")["rouge1"] == 0.75
    assert [pair.rouge1 for pair in scores.pairs][0] == 0.75
    assert idiolect.metrics.bleu(predictions, references) == told["bleu"]
    assert idiolect.metrics.meteor(predictions, references) == told["meteor_exact_stem"]
    assert idiolect.metrics.distinct(predictions) == {name: told[name] for name in ("distinct1", "distinct2")}


def test_forget(targets, program, copied, engine_of):
    user, item = targets[0]
    theirs, ours = copied("program"), engine_of(copied("package"))
    secrets = [review.text.encode() for review in ours.history(user)]
    told = program.json("forget", user, "--dry-run", store=theirs)
    assert dict(ours.forget(user, dry_run=True)) == told
    told = program.json("forget", user, "--yes", store=theirs)
    receipt = ours.forget(user)
    assert dict(receipt) == told and receipt.forgotten["user"]
    with pytest.raises(idiolect.NotFoundError):
        ours.history(user)
    ours.close()
    with open(ours.store, "rb") as file:
        left = file.read()
    assert len(secrets) > 3 and not any(secret in left for secret in secrets)


def test_models(program, full_store):
    told = program.json("models", "list", store=full_store)["models"]
    assert idiolect.models.available().to_dicts() == told
    fetched = idiolect.models.fetch(LM, offline=True, progress=False)
    assert fetched.source is None and fetched.path.endswith(".gguf")
    assert {method.name for method in idiolect.models.methods()} >= {"dpl", "idiolect", "rag"}
