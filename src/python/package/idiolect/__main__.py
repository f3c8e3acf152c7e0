"""``python -m idiolect``: the program, which the package installs beside Python's own scripts."""

import os
import subprocess
import sys

from ._program import find_program


def main() -> None:
    """Runs the program with the arguments of this process, in its place where the system can do that."""
    program = find_program()
    if sys.platform == "win32":
        sys.exit(subprocess.run([program, *sys.argv[1:]], check=False).returncode)
    os.execv(program, [program, *sys.argv[1:]])


if __name__ == "__main__":
    main()
