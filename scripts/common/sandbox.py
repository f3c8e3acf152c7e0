"""A folder in which the program runs, with a small corpus of made-up reviews; for the scripts that kill the
program and make its disk, files and clock fail."""

import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LM, ENCODER = "smollm2-135m-instruct", "all-minilm-l6-v2"
USERS, ITEMS = 30, 16
# Users and items of an import of several batches.
MANY = 100, 60
CANARY = "the quillwort teapot hums at dawn"
# Reports of evaluations are replaced, and the row of a running one goes at its end.
WORK_ONLY = "kind NOT LIKE 'evaluation%'"
IMPORT = ["import", "--format", "table", "--reviews", "t.csv"]
IMPORT_MANY = [*IMPORT[:-1], "many.csv"]
EDIT = ["profile", "user01", "--n", "2", "--add", "writing=never uses a semicolon"]
METHODS = ["--methods", "non-perso,scp", "--measures", "likelihood,lexical", "--wrong-users", "0"]
EVALUATE = ["evaluate", *METHODS, "--users", "3", "--n", "2", "--max-tokens", "8", "--csv", "figures.csv"]


class Failed(Exception):
    pass


def corpus(rng, size=(USERS, ITEMS)):
    """A table of reviews; user00 has a text that no other user has."""
    words = "kettle sings leaks lid handle sturdy cord short boils fast quiet loud heavy light again".split()
    rows = ["user,item,text,time,rating"]
    for user in range(size[0]):
        for item in range(size[1]):
            text = " ".join(rng.choice(words) for _ in range(rng.randrange(20, 80)))
            text = f"{CANARY} {item} {text}" if user == 0 else text
            rows.append(f"user{user:02},item{item:02},{text},{item + 1},{rng.randrange(1, 6)}")
    return "\n".join(rows) + "\n"


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def program(named, script):
    """The absolute path of the program: the named one, else the one that was built."""
    built = [ROOT / "target" / profile / "idiolect" for profile in ("release", "debug")]
    found = named or next((str(path) for path in built if path.exists()), None)
    if found is None:
        sys.exit(f"{script}: build the program first (cargo build --release)")
    return str(Path(found).resolve())


def models_present(program):
    asked = ([program, "models", "path", name] for name in (LM, ENCODER))
    return all(subprocess.run(words, capture_output=True).returncode == 0 for words in asked)


class Folder:
    """A folder with one store, s/s.sqlite."""

    def __init__(self, path, program):
        self.path, self.program = path, program
        path.mkdir(parents=True, exist_ok=True)

    def command(self, arguments):
        return [self.program, "--store", "s/s.sqlite", "--quiet", *arguments]

    def environment(self, more=None):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("IDIOLECT_")}
        kept.update(IDIOLECT_OFFLINE="1", IDIOLECT_LM=LM, IDIOLECT_THREADS="2")
        return kept | (more or {})

    def start(self, arguments, more=None, before=(), **settings):
        """Starts the program; `before` are words before its name."""
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | settings
        command = [*before, *self.command(arguments)]
        return subprocess.Popen(command, cwd=self.path, env=self.environment(more), **settings)

    def run(self, arguments, fine=(0,), more=None):
        child = self.start(arguments, more)
        out, err = child.communicate()
        if child.returncode not in fine:
            raise Failed(f"{' '.join(arguments)}: exit code {child.returncode}: {err.strip()}")
        return out

    def kill(self, arguments, after, more=None):
        """Whether the command still ran when it was killed."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        child = self.start(arguments, more, **quiet)
        time.sleep(after)
        running = child.poll() is None
        child.send_signal(signal.SIGKILL)
        child.wait()
        return running

    def copy_of(self, other):
        shutil.rmtree(self.path)
        shutil.copytree(other.path, self.path)

    def store(self):
        return self.path / "s" / "s.sqlite"

    def query(self, sql):
        connection = sqlite3.connect(self.store())
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def check_whole(self):
        """Counts of rows, after checks of the file."""
        if not self.store().exists():
            return {}
        if self.query("PRAGMA integrity_check") != [("ok",)]:
            raise Failed("the store is not whole")
        if self.query("PRAGMA foreign_key_check"):
            raise Failed("rows refer to rows that do not exist")
        tables = {name for (name,) in self.query("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        names = tables & {"review", "vector", "derived", "profile_edit"}
        rows = {"derived": f"derived WHERE {WORK_ONLY}"}
        return {name: self.query(f"SELECT count(*) FROM {rows.get(name, name)}")[0][0] for name in names}

    def rows(self, sql):
        return digest(repr(self.query(sql)).encode())

    def file(self, name):
        return digest((self.path / name).read_bytes())


def corpus_state(folder):
    sql = """SELECT user.name, item.name, rating, review.title, text, time FROM review
             JOIN user ON user.id = user JOIN item ON item.id = item ORDER BY 1, 2"""
    return folder.rows(sql)


def index_state(folder):
    index = Path("s/s.sqlite.index")
    (embeddings,) = sorted((folder.path / index).glob("*/embeddings.f32"))
    vectors = "SELECT review, hex(value) FROM vector ORDER BY review"
    return folder.rows(vectors), digest(embeddings.read_bytes())


def evaluate_state(folder):
    derived = f"SELECT kind, key, value FROM derived WHERE {WORK_ONLY} ORDER BY kind, key"
    return folder.rows(derived), folder.file("figures.csv")


def forget_state(folder):
    for path in (folder.path / "s").rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        for canary in (CANARY, "user00"):
            if canary.encode() in data or canary.encode("utf-16-le") in data:
                raise Failed(f"`{canary}` is still in {path.name}")
    return corpus_state(folder)


def edit_state(folder):
    return folder.rows("SELECT version, value FROM profile_edit ORDER BY version")


def finish_forget(folder):
    # Exit code 1: the user is already gone, and only the file is left to be rewritten.
    folder.run(["forget", "user00", "--yes"], fine=(0, 1))
    folder.run(["forget", "--scrub"])


def finish_edit(folder):
    if not folder.query("SELECT 1 FROM profile_edit"):
        folder.run(EDIT)
