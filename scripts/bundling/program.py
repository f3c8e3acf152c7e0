"""The program's file: how it is built, what it needs, and the list of packages inside it."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

from . import crates
from .archive import fail

HERE = Path(__file__).resolve().parent
# The oldest C library on which the program runs: that of Debian 10, Ubuntu 18.10, RHEL 8.
GLIBC = "2.28"
SECTION = ".dep-v0"


def cargo_home():
    return Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")).resolve()


def zigbuild():
    """cargo-zigbuild and zig in an environment of their own, in the versions of zig.txt, made if they are absent."""
    folder, wanted = crates.ROOT / "target" / "zig", HERE / "zig.txt"
    made = folder / "made-from"
    if not made.exists() or made.read_text() != wanted.read_text():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [folder / "bin" / "pip", "--quiet", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, "--require-hashes", "--only-binary", ":all:", "-r", wanted], check=True)
        made.write_text(wanted.read_text())
    (zig,) = folder.glob("lib/python3*/site-packages/ziglang/zig")
    return folder / "bin" / "cargo-zigbuild", zig


def build(features, target_dir, target, commit):
    """Builds the release program so that it runs with the C library GLIBC and later, and so that no path of this
    machine is in it; returns its file. `commit` is its name and its time in seconds since 1970.

    Builds of one commit give the same bytes, whatever the folders of the checkout, of the target and of cargo are.
    The compilers' versions are part of the result: rust-toolchain.toml pins rustc, zig.txt the C compiler and the
    linker.
    """
    cargo_zigbuild, zig = zigbuild()
    sysroot = subprocess.run(
        ["rustc", "--print", "sysroot"], cwd=crates.ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    # The last prefix that fits is taken, and the target folder may lie in the checkout.
    folders = [(sysroot, "/rust"), (cargo_home(), "/cargo"), (crates.ROOT, "/idiolect"), (target_dir, "/target")]
    rust = [f"--remap-path-prefix={folder}={name}" for folder, name in folders]
    c = " ".join(f"-ffile-prefix-map={folder}={name}" for folder, name in folders)
    environment = {name: value for name, value in os.environ.items() if name not in ("RUSTFLAGS", "CARGO_BUILD_TARGET")}
    environment |= {"CARGO_ENCODED_RUSTFLAGS": "\x1f".join(rust), "CFLAGS": c, "CXXFLAGS": c, "CARGO_INCREMENTAL": "0",
                    "CARGO_ZIGBUILD_ZIG_PATH": str(zig)}
    name, seconds = commit
    short = " ".join([name[:12], *name.split(" ")[1:]])
    environment |= {"IDIOLECT_COMMIT": short, "SOURCE_DATE_EPOCH": str(seconds),
                    "IDIOLECT_BUILD_DATE": time.strftime("%Y-%m-%d", time.gmtime(seconds))}
    # With `--target` the flags reach what is linked into the program and nothing else.
    command = [cargo_zigbuild, "zigbuild", "--release", *crates.selection(features), "-p", crates.PROGRAM]
    command += ["--bin", crates.PROGRAM, "--target", f"{target}.{GLIBC}", "--target-dir", str(target_dir)]
    subprocess.run(command, cwd=crates.ROOT, env=environment, check=True)
    return target_dir / target / "release" / crates.PROGRAM


def tool(name, *arguments):
    if not shutil.which(name):
        fail(f"`{name}` is missing; it comes with binutils")
    return subprocess.run([name, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def versions_needed(program):
    """The newest version of the C library that the program's symbols ask for, and the libraries it loads."""
    versions = {tuple(map(int, v.split("."))) for v in re.findall(r"\bGLIBC_([\d.]+)", tool("objdump", "-T", program))}
    libraries = re.findall(r"NEEDED\s+(\S+)", tool("objdump", "-p", program))
    return ".".join(map(str, max(versions, default=(0,)))), libraries


def audit_data(root, packages):
    """The list of packages in the form of `cargo auditable`, which `rust-audit-info`, `cargo audit bin` and
    scanners of containers read: JSON, compressed by zlib."""
    index = {crate.key: number for number, crate in enumerate(packages)}
    listed = []
    for crate in packages:
        entry = {"name": crate.name, "version": crate.version, "source": "local" if crate.is_local else "crates.io"}
        if crate.is_build:
            entry["kind"] = "build"
        if crate.dependencies:
            entry["dependencies"] = sorted(index[key] for key in crate.dependencies)
        if crate.key == root:
            entry["root"] = True
        listed.append(entry)
    return {"packages": listed, "format": 1}


def add_audit_data(program, data, out):
    """Writes the program with the section that holds the list."""
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "dependencies"
        packed.write_bytes(zlib.compress(json.dumps(data, separators=(",", ":")).encode(), 9))
        tool("objcopy", "--remove-section", SECTION, "--add-section", f"{SECTION}={packed}",
             "--set-section-flags", f"{SECTION}=noload,readonly", program, out)


def read_audit_data(program):
    """The list in a program; None if it has none."""
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "dependencies"
        tool("objcopy", "--dump-section", f"{SECTION}={packed}", program, Path(folder) / "copy")
        return json.loads(zlib.decompress(packed.read_bytes())) if packed.exists() else None
