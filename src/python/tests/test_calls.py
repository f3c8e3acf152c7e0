"""Threads, signals, memory, progress, errors, and the program as a script."""

import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import idiolect
from conftest import LM, SAMPLE


@pytest.fixture(scope="module")
def target(full_store):
    engine = idiolect.Engine(full_store, progress=False)
    user = engine.users(limit=1)[0].user
    return user, engine.history(user)[-1].item


def test_two_threads_write_at_once(target, copied, engine_of):
    user, item = target
    seeds = range(4)
    alone = engine_of(copied("alone"))
    expected = [alone.write(user, item, method="rag", seed=n, max_tokens=24, temperature=0.8).text for n in seeds]
    engine = engine_of(copied("shared"))
    barrier = threading.Barrier(2)

    def half(of):
        barrier.wait()
        return [engine.write(user, item, method="rag", seed=n, max_tokens=24, temperature=0.8).text for n in of]

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(half, [seeds[:2], seeds[2:]])
    assert first + second == expected
    assert len(set(expected)) > 1


def test_the_interpreter_runs_while_a_text_is_written(lm):
    ticks = []
    stop = threading.Event()

    def tick():
        while not stop.wait(0.005):
            ticks.append(time.monotonic())

    ticker = threading.Thread(target=tick)
    ticker.start()
    begin = time.monotonic()
    lm.complete("Once upon a time", max_tokens=64)
    end = time.monotonic()
    stop.set()
    ticker.join()
    during = [begin, *(at for at in ticks if begin < at < end), end]
    longest = max(b - a for a, b in zip(during, during[1:]))
    # With the lock held the whole time would be one gap.
    assert len(during) > 5 and longest < (end - begin) / 2


INTERRUPTED = """
    import os, signal, sys, threading, time
    import idiolect
    # Processes in the background inherit that the signal is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    engine = idiolect.Engine(sys.argv[1], lm=sys.argv[2], threads=1, progress=False)
    user, item = sys.argv[3:5]
    engine.lm, engine.encoder
    def interrupt():
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt, daemon=True).start()
    begin = time.monotonic()
    try:
        CALL
    except KeyboardInterrupt:
        took = time.monotonic() - begin
        print("interrupted", took)
        # The engine is as good as before.
        assert engine.write(user, item, method="non-perso", max_tokens=4, seed=9).text
        sys.exit(0)
    print("not interrupted", time.monotonic() - begin)
    sys.exit(1)
"""

CALLS = {
    "write": "engine.write(user, item, method='rag', max_tokens=1500, settings={'idiolect.as-long': False}, seed=5)",
    "complete": "engine.lm.complete('Once upon a time', max_tokens=4000, logprobs=0)",
    "many": "list(engine.write_many([{'user': user, 'item': item}] * 50, methods=['rag'], max_tokens=200, fresh=True))",
    "stream": "list(engine.lm.stream('Once upon a time', max_tokens=4000))",
    "embed": "engine.encoder.embed(['It hums and it leaks. ' * 40] * 20000)",
    "evaluate": "engine.evaluate(['rag', 'scp'], measures=['lexical', 'likelihood'])",
}


@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_ends_a_long_call(call, target, copied):
    script = textwrap.dedent(INTERRUPTED).replace("CALL", CALLS[call])
    done = subprocess.run(
        [sys.executable, "-c", script, copied(), LM, *target], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("interrupted")
    assert float(done.stdout.split()[1]) < 3, done.stdout


def test_a_stream_that_is_dropped_stops(lm):
    for _ in range(3):
        stream = lm.stream("Once upon a time", max_tokens=4000)
        assert next(stream)
        del stream
    begin = time.monotonic()
    lm.complete("The kettle", max_tokens=2)
    # Three texts of 4000 tokens would take minutes.
    assert time.monotonic() - begin < 10


MEMORY = """
    import gc, sys
    import idiolect
    store, lm, user, item, n, loads = *sys.argv[1:5], int(sys.argv[5]), sys.argv[6] == "yes"
    def resident():
        gc.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096
    def threads():
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Threads"))
    sizes = []
    for made in range(n):
        with idiolect.Engine(store, lm=lm, threads=1, progress=False) as engine:
            assert engine.counts().users > 0 and engine.history(user)
            if loads:
                assert engine.write(user, item, method="non-perso", max_tokens=2, fresh=True).text
                assert len(engine.encoder.embed(["It hums."])) == 1
        if made >= n // 5 and made % (n // 20) == 0:
            sizes.append(resident())
    print(min(sizes), max(sizes), sizes[0], sizes[-1], threads())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("n", "loads"), [(1000, "no"), (60, "yes")])
def test_engines_leave_no_memory_behind(n, loads, target, copied):
    arguments = [str(copied()), LM, *target, str(n), loads]
    script = textwrap.dedent(MEMORY)
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    _, _, first, last, threads = map(int, done.stdout.split())
    print(f"{n} engines, models {loads}: {first / 1e6:.1f} MB after a fifth, {last / 1e6:.1f} MB at the end")
    # A store that stays open is 30 kB, a model that stays loaded 100 MB.
    assert last - first < (4e6 if loads == "no" else 30e6)
    assert threads < 8


def test_progress_is_told_to_bars(full_store, copied, target):
    made = []

    class Bar:
        def __init__(self, total, desc, leave):
            self.total, self.desc, self.done, self.closed = total, desc, 0, False
            made.append(self)

        def update(self, n):
            self.done += n

        def close(self):
            self.closed = True

    engine = idiolect.Engine(copied(), lm=LM, threads=1, progress=Bar)
    engine.index(rebuild=True)
    bar = next(bar for bar in made if "embedding" in bar.desc)
    assert bar.done == bar.total == engine.counts().reviews and bar.closed
    made.clear()
    user, item = target
    list(engine.write_many([{"user": user, "item": item}] * 2, methods="non-perso", max_tokens=2))
    assert [(bar.total, bar.done, bar.closed) for bar in made if bar.desc == "writing texts"] == [(2, 2, True)]

    def broken(**_):
        raise ZeroDivisionError("a bar")

    engine.progress = broken
    with pytest.raises(ZeroDivisionError, match="a bar"):
        engine.index(rebuild=True)


def test_tqdm_is_used_if_it_is_there(copied, capfd):
    pytest.importorskip("tqdm")
    idiolect.Engine(copied(), lm=LM, threads=1).index(rebuild=True)
    assert "embedding" in capfd.readouterr().err


WRONG = [
    (idiolect.NotFoundError, lambda e, u, i: e.write("nobody", i), ["write", "--user", "nobody", "--item", "ITEM"]),
    (idiolect.NotFoundError, lambda e, u, i: e.write(u, "nothing"), ["write", "--user", "USER", "--item", "nothing"]),
    (
        idiolect.ModelError,
        lambda e, u, i: idiolect.Engine(e.store, lm="smollm3-135m", progress=False).write(u, i),
        ["--lm", "smollm3-135m", "write", "--user", "USER", "--item", "ITEM"],
    ),
    (
        idiolect.StoreError,
        lambda e, u, i: idiolect.Engine("/no/s", progress=False).users(),
        ["--store", "/no/s", "users"],
    ),
    (
        idiolect.SettingsError,
        lambda e, u, i: e.write(u, i, top_p=1.5),
        ["write", "--user", "USER", "--item", "ITEM", "--top-p", "1.5"],
    ),
    (idiolect.NotFoundError, lambda e, u, i: e.evaluate(split_name="no"), ["evaluate", "--split-name", "no"]),
    (idiolect.DataError, lambda e, u, i: e.import_table("/no.csv"), ["import", "/no.csv"]),
]


@pytest.mark.parametrize(("exception", "call", "arguments"), WRONG)
def test_errors_are_those_of_the_program(exception, call, arguments, target, full_store, engine_of, program):
    user, item = target
    with pytest.raises(exception) as raised:
        call(engine_of(full_store), user, item)
    assert isinstance(raised.value, idiolect.Error)
    arguments = [{"USER": user, "ITEM": item}.get(word, word) for word in arguments]
    told = program.run(*arguments, store=full_store, check=False)
    assert told.returncode == 1
    assert told.stderr.strip() == f"idiolect: error: {raised.value}"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"lexcal": 1}, "there is no setting `lexcal`; did you mean `idiolect.lexical`"),
        ({"lexical": "loud"}, "setting `idiolect.lexical`: got `loud`, expected a number"),
        ({"settings": {"n": 0}}, "setting `n`: got `0`, expected a number from 1 to 1000"),
        ({"settings": "/no.toml"}, "settings /no.toml: "),
        ({"method": "dlp"}, "there is no method `dlp`; the methods are non-perso, rag"),
        ({"about": "x"}, "give item or about, not both"),
        ({"rating": float("inf")}, ""),
        ({"context": "Hello"}, "the prompts of the task `review` show no message to answer"),
        ({"method": "dpl", "no_peer_text": True}, "no_peer_text: `dpl` with these settings reads texts by other users"),
        ({"task": "revue"}, "revue"),
        ({"max_tokens": -1}, "invalid value: integer `-1`"),
    ],
)
def test_wrong_arguments_are_told(wrong, said, target, full_store, engine_of):
    with pytest.raises(ValueError) as raised:
        engine_of(full_store).write(*target, **wrong)
    assert said in str(raised.value), raised.value


def test_the_environment_may_forbid_texts_of_others(target, copied, engine_of, monkeypatch):
    monkeypatch.setenv("IDIOLECT_NO_PEER_TEXT", "yes")
    engine = engine_of(copied())
    with pytest.raises(idiolect.SettingsError, match="no_peer_text"):
        engine.write(*target, method="dpl")
    settings = {"n": 1, "k": 2, "max_tokens": 4, "profile_max_tokens": 8}
    assert engine.write(*target, method="dpl", no_peer_text=False, **settings).text


def test_wrong_engines(tmp_path):
    for wrong, said in [
        ({"device": "gpu"}, "expected `auto`, `cpu`"),
        ({"cpu_isa": "sse"}, "sse"),
        ({"kv_precision": "f8"}, "expected f16 or bf16"),
        ({"encoder_precision": "f16"}, "expected f32 or int8"),
    ]:
        with pytest.raises(idiolect.Error, match=said):
            idiolect.Engine(tmp_path / "s.sqlite", **wrong)
    with pytest.raises(idiolect.SettingsError, match="no client for servers"):
        idiolect.lm("http://127.0.0.1:1/v1#m")
    with pytest.raises(idiolect.StoreError, match="there is no store at"):
        idiolect.Engine(tmp_path / "s.sqlite").counts()
    assert not (tmp_path / "s.sqlite").exists()


def test_results_can_be_pickled_and_compared(full_store, engine_of):
    users = engine_of(full_store).users(limit=2)
    assert pickle.loads(pickle.dumps(users)) == users
    assert users[0] != users[1] and "user" in dir(users[0])
    with pytest.raises(AttributeError, match="has no field `name`"):
        users[0].name


def test_the_program_is_a_script(program):
    told = subprocess.run([program.path, "--version"], capture_output=True, text=True, check=True).stdout
    assert told.startswith(f"idiolect {idiolect.__version__}")
    again = subprocess.run([sys.executable, "-m", "idiolect", "--version"], capture_output=True, text=True, check=True)
    assert again.stdout == told
    failed = subprocess.run([sys.executable, "-m", "idiolect", "nothing"], capture_output=True, check=False)
    assert failed.returncode == 2


def test_nothing_of_the_package_is_imported_from_the_checkout():
    assert not os.path.abspath(idiolect.__file__).startswith(str(SAMPLE.parents[1] / "src"))
