"""Fixtures that the tests share: the sample corpus, the program, stores and models."""

import json
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

import idiolect

SAMPLE = Path(os.environ.get("IDIOLECT_SAMPLE") or Path(__file__).resolve().parents[3] / "data" / "sample")
LM = "smollm2-135m-instruct"
MAP = {"user": "user", "item": "item", "text": "text", "rating": "rating", "title": "title", "time": "time"}
COLUMNS = ",".join(f"{field}={column}" for field, column in MAP.items())


class Program:
    """The program that the package installs."""

    path = Path(sysconfig.get_path("scripts")) / "idiolect"

    def run(self, *arguments, store, stdin=None, check=True):
        command = [self.path, *map(str, arguments)]
        options = {"STORE": str(store), "LM": LM, "THREADS": "1", "QUIET": "1"}
        environment = {**os.environ, **{f"IDIOLECT_{name}": value for name, value in options.items()}}
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env=environment)
        if check and done.returncode != 0:
            raise AssertionError(f"{command}: {done.stderr}")
        return done

    def json(self, *arguments, store, stdin=None):
        return json.loads(self.run("--json", *arguments, store=store, stdin=stdin).stdout)


@pytest.fixture(scope="session")
def program():
    return Program()


@pytest.fixture(scope="session")
def rows():
    """The reviews of the sample."""
    return [json.loads(line) for line in (SAMPLE / "reviews.jsonl").read_text().splitlines()]


@pytest.fixture(scope="session")
def full_store(program, tmp_path_factory):
    """A store with the sample and an index, made by the program; not to be written to."""
    store = tmp_path_factory.mktemp("full") / "full.sqlite"
    files = ["--reviews", SAMPLE / "reviews.jsonl", "--items", SAMPLE / "items.jsonl"]
    program.run("import", "--format", "table", "--map", COLUMNS, *files, store=store)
    program.run("index", store=store)
    program.run("split", "--preset", "small", store=store)
    return store


@pytest.fixture
def copied(full_store, tmp_path):
    """Makes a copy of the full store of the given name."""

    def copy(name="copy"):
        store = tmp_path / name / "copy.sqlite"
        store.parent.mkdir()
        shutil.copy(full_store, store)
        index = full_store.with_name(full_store.name + ".index")
        shutil.copytree(index, store.with_name(store.name + ".index"))
        return store

    return copy


@pytest.fixture
def engine_of():
    """Makes engines on the small model with one thread."""

    def make(store, **options):
        return idiolect.Engine(store, lm=LM, threads=1, **{"progress": False, **options})

    return make


@pytest.fixture(scope="session")
def lm():
    return idiolect.lm(LM, threads=1, progress=False)


@pytest.fixture(autouse=True)
def no_options_from_outside(monkeypatch):
    for name in list(os.environ):
        if name.startswith("IDIOLECT_") and name != "IDIOLECT_MODELS":
            monkeypatch.delenv(name)
