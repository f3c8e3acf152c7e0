"""Parts that the release and the bundle have in common: the program, manual pages, completions, documents,
licences, and the list of what is in them."""

import json
import os
import shutil
import subprocess
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

from . import crates, licences, program, sbom
from .archive import fail, sha256

HERE = Path(__file__).resolve().parent
ROOT = crates.ROOT
DOCUMENTS = ["README", "IMPORT", "METHODS", "SCALE", "SERVER", "SECURITY", "CHANGELOG"]
# Shell, and where its programs look for completions under `share`.
COMPLETIONS = {
    "bash": "bash-completion/completions/idiolect",
    "zsh": "zsh/site-functions/_idiolect",
    "fish": "fish/vendor_completions.d/idiolect.fish",
}


@dataclass
class Program:
    """The program's file and everything that is known of it."""

    file: Path
    sha256: str
    version: str
    commit: str
    seconds: int
    features: str
    target: str
    libc: str
    libraries: list
    root: tuple
    packages: list
    page: list

    @property
    def machine(self):
        return self.target.split("-")[0]

    @property
    def day(self):
        return time.strftime("%Y-%m-%d", time.gmtime(self.seconds))

    @property
    def summary(self):
        return (f"program: sha256 {self.sha256}, {len(self.packages)} packages, features {self.features or 'none'}, "
                f"needs the GNU C library {self.libc}")


def git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def commit():
    """The commit, marked if files differ from it, and its time in seconds since 1970."""
    name = git("rev-parse", "HEAD") or "unknown"
    if git("status", "--porcelain", "--untracked-files=no"):
        name += " with changes"
        print("note: files differ from the commit", flush=True)
    return name, int(os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct") or 0)


def page_packages():
    """The npm packages in the page; an error if the lock file has other versions."""
    packages = json.loads((HERE / "page-packages.json").read_text())
    locked = json.loads((ROOT / "src" / "server" / "web" / "package-lock.json").read_text())["packages"]
    for package in packages:
        if locked.get(f"node_modules/{package['name']}", {}).get("version") != package["version"]:
            fail("the page has other packages than recorded; run scripts/record-page-packages")
    return packages


def program_of(given, features, work):
    """The given program, else one that is built; in `work`, with the list of its packages in it."""
    target = crates.host()
    name, seconds = commit()
    if given is None:
        given = program.build(features, ROOT / "target" / "portable", target, (name, seconds))
    root, packages = crates.crates(features, target)
    data = program.audit_data(root, packages)
    there, file = program.read_audit_data(given), work / crates.PROGRAM
    if there is None:
        program.add_audit_data(given, data, file)
    elif there == data:
        shutil.copyfile(given, file)
    else:
        fail("the program names other packages than Cargo.lock with these features; give its --features")
    file.chmod(0o755)
    if program.read_audit_data(file) != data:
        fail("the list of packages cannot be read back from the program")
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    libc, libraries = program.versions_needed(file)
    page = page_packages() if "serve" in features.split(",") else []
    return Program(file, sha256(file), version, name, seconds, features, target, libc, libraries, root, packages, page)


def text_of(made, *arguments):
    """The output of the program, whatever the settings of the person who runs this script."""
    plain = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    done = subprocess.run([made.file, *arguments], capture_output=True, env=plain)
    if done.returncode != 0:
        fail(f"idiolect {' '.join(map(str, arguments))}: {done.stderr.decode().strip()}")
    return done.stdout


def add_shared(contents, made, work, share="share"):
    """Manual pages and completions, in the folders of a Unix prefix."""
    pages = work / "man"
    text_of(made, "man", pages)
    contents.add_folder(f"{share}/man/man1", pages, ".1")
    for shell, place in COMPLETIONS.items():
        contents.add(f"{share}/{place}", text_of(made, "completions", shell))


def add_documents(contents, folder):
    for document in DOCUMENTS:
        contents.add(f"{folder}/{document}.md", ROOT / f"{document}.md")


def add_examples(contents, folder):
    """Built-in tasks to copy from, the sample corpus, and the description of every known model."""
    prefix = f"{folder}/" if folder else ""
    contents.add_folder(f"{prefix}tasks", ROOT / "data" / "tasks", ".toml")
    contents.add_folder(f"{prefix}sample", ROOT / "data" / "sample")
    contents.add_folder(f"{prefix}catalog", ROOT / "models", ".toml")


def third_party(made):
    return licences.third_party(made.packages, made.page)


def list_of_parts(made, models=()):
    about = {"version": made.version, "time": made.seconds, "commit": made.commit, "sha256": made.sha256,
             "features": made.features, "target": made.target}
    return json.dumps(sbom.document(made.root, made.packages, made.page, models, about), indent=1) + "\n"


def filled(name, values):
    """A text of this folder with its values."""
    text = (HERE / name).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    return text
