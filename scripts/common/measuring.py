"""What the scripts that measure texts share: running the program, words, intervals, tables."""

import os
import random
import re
import subprocess
import sys
import time

WORD = re.compile(r"[^\W_]+")


def words(text):
    """Letters and digits, without case, as `--guard-words` compares them."""
    return WORD.findall(text.lower())


def windows(text, n):
    found = words(text)
    return [" ".join(found[at : at + n]) for at in range(len(found) - n + 1)]


class Program:
    """The program with one store, at low priority."""

    def __init__(self, path, store, lm, threads="2"):
        self.path, self.store = path, store
        kept = {k: v for k, v in os.environ.items() if not k.startswith("IDIOLECT_")}
        self.environment = kept | {"IDIOLECT_OFFLINE": "1", "IDIOLECT_LM": lm, "IDIOLECT_THREADS": threads}

    def run(self, *arguments, fine=(0,)):
        command = ["nice", "-n", "10", self.path, "--store", str(self.store), "--quiet", *map(str, arguments)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        if done.returncode not in fine:
            sys.exit(f"{' '.join(map(str, arguments))}: exit code {done.returncode}: {done.stderr.strip()}")
        return done


def wilson(k, n, z=1.96):
    """Interval of a share, in percent."""
    if n == 0:
        return 0.0, 100.0
    share, square = k / n, z * z / n
    middle = (share + square / 2) / (1 + square)
    half = z * ((share * (1 - share) + square / 4) / n) ** 0.5 / (1 + square)
    return 100 * max(0.0, middle - half), 100 * min(1.0, middle + half)


def bootstrap(values, rounds=2000):
    """Mean and 95 % interval over users."""
    rng = random.Random(1)
    means = sorted(sum(rng.choices(values, k=len(values))) / len(values) for _ in range(rounds))
    return sum(values) / len(values), means[rounds // 40], means[rounds - 1 - rounds // 40]


def table(head, rows):
    """Prints a table in Markdown."""
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


class Stopwatch:
    def __init__(self):
        self.begin = time.monotonic()

    def __str__(self):
        return f"{time.monotonic() - self.begin:.0f} s"
