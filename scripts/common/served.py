"""A server on a free port of the loopback."""

import http.client
import json
import socket
import subprocess
import sys
import tempfile
import time


class Served:
    """A server on a free port, ended with the block. `command` returns its command line for a port; `wait` are
    the seconds that it may take to load."""

    def __init__(self, command, wait=60, environment=None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.command, self.wait, self.environment = command(self.port), wait, environment

    def __enter__(self):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=self.errors, env=self.environment
        )
        end = time.monotonic() + self.wait
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.get("/health") == 200:
                    self.model = json.loads(self.body("/v1/models"))["data"][0]["id"]
                    return self
            except (OSError, KeyError):
                pass
            time.sleep(0.1)
        self.__exit__()
        self.errors.seek(0)
        told = self.errors.read().decode(errors="replace").strip()
        sys.exit(f"the server did not start: {' '.join(map(str, self.command))}\n{told}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def ask(self, path, body=None, timeout=60):
        """Status and bytes of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            if body is None:
                connection.request("GET", path)
            else:
                connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def get(self, path):
        return self.ask(path)[0]

    def body(self, path):
        return self.ask(path)[1]
