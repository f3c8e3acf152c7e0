"""The packages that a build of the program consists of, as cargo resolves them."""

import collections
import json
import re
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = "idiolect"
LINE = re.compile(r"^(\d+)(\S+) v(\S+)(.*)$")


@dataclass
class Crate:
    """A package of Rust. `is_build` is true if its code runs only while the program is built."""

    name: str
    version: str
    licence: str
    authors: list
    description: str
    repository: str
    folder: Path
    checksum: str
    is_local: bool
    is_build: bool
    dependencies: list = field(default_factory=list)

    @property
    def key(self):
        return (self.name, self.version)


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def host():
    told = subprocess.run(["rustc", "-vV"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return re.search(r"^host: (\S+)$", told, re.MULTILINE)[1]


def rust_version():
    return subprocess.run(["rustc", "-V"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()[1]


def selection(features):
    """Arguments of cargo for exactly these features of the program, separated by commas."""
    return ["--locked", "--no-default-features", "--features", features]


def edges(kinds, features, target):
    """Which package uses which, by edges of some kinds, and the procedural macros."""
    told = cargo("tree", "-p", PROGRAM, "-e", kinds, *selection(features), "--target", target,
                 "--prefix", "depth", "--format", "{p}")
    uses, macros, path = collections.defaultdict(set), set(), []
    for line in told.splitlines():
        depth, name, version, rest = LINE.match(line).groups()
        key = (name, version)
        path[int(depth):] = [key]
        uses[key]
        if len(path) > 1:
            uses[path[-2]].add(key)
        if "(proc-macro)" in rest:
            macros.add(key)
    return path[0], uses, macros


def crates(features, target):
    """All packages of a build, sorted, and the key of the program's own."""
    root, runtime, macros = edges("normal", features, target)
    _, uses, _ = edges("normal,build", features, target)
    linked, left = set(), [root]
    while left:
        key = left.pop()
        if key not in linked and key not in macros:
            linked.add(key)
            left += runtime[key]
    known = json.loads(cargo("metadata", "--format-version", "1", "--locked", "--filter-platform", target))
    packages = {(package["name"], package["version"]): package for package in known["packages"]}
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    checksums = {(package["name"], package["version"]): package.get("checksum", "") for package in lock}
    found = []
    for key in sorted(uses):
        package = packages[key]
        found.append(Crate(
            name=key[0],
            version=key[1],
            licence=(package["license"] or "").replace("/", " OR "),
            authors=package["authors"],
            description=" ".join((package["description"] or "").split()),
            repository=package["repository"] or "",
            folder=Path(package["manifest_path"]).parent,
            checksum=checksums[key],
            is_local=package["source"] is None,
            is_build=key not in linked,
            dependencies=sorted(uses[key]),
        ))
    return root, found
