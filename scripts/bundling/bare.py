"""Bare Debian systems to test in: minbase roots by debootstrap, entered without a network."""

import os
import shutil
import subprocess
from pathlib import Path

from .archive import fail

# Debian's suites with the version of their C library, oldest first.
SUITES = {"bullseye": (2, 31), "bookworm": (2, 36), "trixie": (2, 41)}


def need(*tools):
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        fail(f"missing: {', '.join(missing)}")


def system(root, suite, packages=()):
    """Makes the root unless it is there."""
    mark = root / "etc" / "made-by-idiolect"
    if mark.exists():
        return
    if os.geteuid() != 0:
        fail(f"{root} is absent, and only root can make it")
    need("debootstrap")
    shutil.rmtree(root, ignore_errors=True)
    root.parent.mkdir(parents=True, exist_ok=True)
    command = ["debootstrap", "--variant=minbase"]
    if packages:
        command.append(f"--include={','.join(packages)}")
    done = subprocess.run([*command, suite, str(root)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        fail(f"debootstrap {suite}: {done.stdout.strip().splitlines()[-1]}")
    mark.write_text(f"{suite} {' '.join(packages)}\n")


def without_network(root):
    """Words before a command in the root: processes and network of its own, of which no interface is up."""
    space = ["unshare", "--net", "--mount", "--pid", "--fork", f"--mount-proc={Path(root) / 'proc'}"]
    if os.geteuid() != 0:
        space += ["--user", "--map-root-user"]
    return [*space, "chroot", str(root)]


def as_user(number):
    """Words before a command that an ordinary user runs, if the caller is root."""
    if os.geteuid() != 0:
        return []
    user = ["setpriv", f"--reuid={number}", f"--regid={number}", "--clear-groups"]
    return [*user, "--bounding-set=-all", "--no-new-privs"]
