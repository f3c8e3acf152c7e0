"""Archives whose bytes depend on their contents alone: sorted, owned by nobody, of one time."""

import gzip
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

# Files below this size in bytes are read once.
HELD = 10_000_000


def fail(what):
    sys.exit(f"{Path(sys.argv[0]).name}: {what}")


def sha256(content):
    """The hash of a file or of bytes."""
    if isinstance(content, Path):
        with open(content, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(content).hexdigest()


def sign(key, file):
    """Signs a file with a secret key of minisign; gives the file with the signature."""
    # The comment has the time of the signature if none is given.
    command = ["minisign", "-S", "-s", str(key), "-m", str(file), "-t", f"{file.name} of idiolect"]
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode != 0:
        fail(f"{file.name} could not be signed with {key}")
    return file.with_name(f"{file.name}.minisig")


class Contents:
    """Files by name: a path to copy or bytes."""

    def __init__(self):
        self.files, self.executable = {}, set()

    def add(self, name, content, executable=False):
        if name in self.files:
            fail(f"two files are named {name}")
        # Documents may change while the archive is made; weights and the program are too large to hold.
        if isinstance(content, Path) and content.stat().st_size < HELD:
            content = content.read_bytes()
        self.files[name] = content.encode() if isinstance(content, str) else content
        if executable:
            self.executable.add(name)

    def add_folder(self, name, folder, ending=""):
        for path in sorted(folder.rglob(f"*{ending}")):
            if path.is_file():
                self.add(f"{name}/{path.relative_to(folder)}", path)

    def size(self):
        return sum(c.stat().st_size if isinstance(c, Path) else len(c) for c in self.files.values())

    def sums(self, hashed=sha256):
        return "".join(f"{hashed(content)}  {name}\n" for name, content in sorted(self.files.items()))

    def folders(self):
        return {f"{parent}" for name in self.files for parent in Path(name).parents} - {"."}

    def write(self, top, mtime, out):
        """Writes a gzipped tar of which everything is in the folder `top`."""
        with open(out, "wb") as raw:
            packed = gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0)
            with packed, tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
                for name in ["", *sorted([*self.folders(), *self.files])]:
                    member = tarfile.TarInfo(f"{top}/{name}".rstrip("/"))
                    member.mtime = mtime
                    if name not in self.files:
                        member.type, member.mode = tarfile.DIRTYPE, 0o755
                        archive.addfile(member)
                        continue
                    member.mode = 0o755 if name in self.executable else 0o644
                    content = self.files[name]
                    with open(content, "rb") if isinstance(content, Path) else tempfile.SpooledTemporaryFile() as file:
                        if isinstance(content, bytes):
                            file.write(content)
                        member.size = file.seek(0, os.SEEK_END)
                        file.seek(0)
                        archive.addfile(member, file)
