"""Texts of the licences of everything in a bundle."""

import re
from pathlib import Path

from . import crates
from .archive import fail

HERE = Path(__file__).resolve().parent
NAMES = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)
# Folders of a package that no build compiles.
NOT_COMPILED = {"tests", "test", "testdata", "benches", "examples", "resources", "docs", "doc", "fuzz"}


def files_of(folder):
    """Licence files of a package, also those of code of others that lies inside it."""
    found = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and NAMES.match(path.name) and not NOT_COMPILED & set(inside.parts[:-1]):
            if path.suffix not in (".rs", ".toml", ".py", ".html"):
                found.append(inside)
    return found


def standard(licence):
    """Text of a licence whose package brings none."""
    if "Apache-2.0" in licence:
        return (crates.ROOT / "LICENSE").read_text()
    if licence == "MIT":
        return (HERE / "mit.txt").read_text()
    fail(f"no text of the licence `{licence}`; put one into {HERE}")


class Texts:
    """Texts by number; one that occurs again keeps its number."""

    def __init__(self):
        self.numbers, self.texts = {}, []

    def number(self, text):
        text = text.strip()
        # The same licence comes in lines of different lengths.
        key = " ".join(text.split())
        if key not in self.numbers:
            self.texts.append(text)
            self.numbers[key] = len(self.texts)
        return self.numbers[key]


def crate_line(crate, texts):
    found = []
    for inside in files_of(crate.folder):
        found.append(f"{inside}: text {texts.number((crate.folder / inside).read_text(errors='replace'))}")
    if not found:
        owners = ", ".join(re.sub(r"\s*<[^>]*>", "", author) for author in crate.authors)
        owners = owners or f"the authors of {crate.name}"
        number = texts.number(standard(crate.licence))
        found.append(f"no licence file in the package, copyright {owners}: text {number}")
    return f"{crate.name} {crate.version}, {crate.licence}\n" + "".join(f"    {line}\n" for line in found)


def third_party(packages, page):
    """One text: for each package its licence, and the texts that it brings."""
    others = [crate for crate in packages if not crate.is_local]
    unstated = [crate.name for crate in others if not crate.licence]
    if unstated:
        fail(f"no licence is stated by {', '.join(unstated)}")
    texts = Texts()
    lines = [
        "Licences of the packages that the program is built from, also of those that only run during the build.\n"
        "The texts follow the list. SQLite, which libsqlite3-sys compiles, is in the public domain.\n\n"
        f"The standard library of Rust {crates.rust_version()}, MIT OR Apache-2.0\n"
        f"    copyright The Rust Project contributors: text {texts.number(standard('MIT'))}, "
        f"text {texts.number(standard('Apache-2.0'))}\n"
    ]
    lines += [crate_line(crate, texts) for crate in others]
    for package in page:
        lines.append(f"{package['name']} {package['version']}, {package['licence']}, in the page of `serve`\n")
        lines.append(f"    text {texts.number(package['text'])}\n")
    for number, text in enumerate(texts.texts, 1):
        lines.append(f"\n{'=' * 40} text {number} {'=' * 40}\n\n{text}\n")
    return "".join(lines)


def of_model(entry, folder):
    """Licence of a model's weights: the file beside them, else the known text."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and NAMES.match(path.name):
            return path.read_text(errors="replace")
    if entry["licence"] == "Apache-2.0":
        return standard("Apache-2.0")
    fail(
        f"the weights of {entry['name']} have the licence `{entry['licence']}`, whose text is not here; "
        f"read it, and put it as LICENSE into {folder}"
    )
