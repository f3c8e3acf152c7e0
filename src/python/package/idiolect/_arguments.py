"""Arguments of calls, as the extension takes them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Optional, Union

from ._errors import SettingsError

Progress = Union[bool, Callable[..., Any]]
"""``True`` shows bars of tqdm if it is installed; a callable makes bars, called as ``tqdm`` is."""

Path = Union[str, "os.PathLike[str]"]

DEFAULT_LM = "qwen2.5-coder-1.5b-instruct"
DEFAULT_ENCODER = "all-minilm-l6-v2"

_NO = ("", "0", "n", "no", "f", "false", "off")


def bars(progress: Progress) -> Optional[Callable[..., Any]]:
    """The function that makes bars, or ``None`` to show none."""
    if callable(progress):
        return progress
    if not progress:
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    made: Callable[..., Any] = tqdm
    return made


def path(given: Optional[Path]) -> Optional[str]:
    """A path as text."""
    return None if given is None else os.fspath(given)


def from_environment(name: str, given: Any, default: Any) -> Any:
    """The value of an option: given, else that of its environment variable, else the default."""
    if given is not None:
        return given
    text = os.environ.get(f"IDIOLECT_{name}")
    if text is None or text == "":
        return default
    if isinstance(default, bool):
        return text.strip().lower() not in _NO
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            raise SettingsError(f"IDIOLECT_{name}: got `{text}`, expected a whole number") from None
    return text


def work_options(
    store: Optional[Path],
    lm: Optional[Path],
    encoder: Optional[Path],
    encoder_precision: Optional[str],
    device: Optional[str],
    threads: Optional[int],
    cpu_isa: Optional[str],
    kv_budget: Optional[int],
    kv_precision: Optional[str],
    share_prefixes: bool,
    models_dir: Optional[Path],
) -> str:
    """The options of a store and its models."""
    return json.dumps(
        {
            "store": path(store),
            "lm": from_environment("LM", path(lm), DEFAULT_LM),
            "encoder": from_environment("ENCODER", path(encoder), DEFAULT_ENCODER),
            "encoder_precision": from_environment("ENCODER_PRECISION", encoder_precision, "f32"),
            "device": from_environment("DEVICE", device, "auto"),
            "threads": from_environment("THREADS", threads, 0),
            "cpu_isa": from_environment("TIER", cpu_isa, "auto"),
            "kv_budget": from_environment("KV_BUDGET", kv_budget, 1024),
            "kv_precision": from_environment("KV_PRECISION", kv_precision, "f16"),
            "share_prefixes": share_prefixes,
            "models_dir": path(models_dir),
        }
    )


def settings(
    task: Optional[Path],
    given: Union[Mapping[str, Any], Path, None],
    fresh: bool,
    names: Mapping[str, Any],
) -> dict[str, Any]:
    """The settings of methods: a TOML file or values by key, and keywords."""
    is_file = isinstance(given, (str, os.PathLike))
    return {
        "task": from_environment("TASK", path(task), "review"),
        "file": os.fspath(given) if is_file else None,  # type: ignore[arg-type]
        "keys": {} if given is None or is_file else dict(given),  # type: ignore[arg-type]
        "names": dict(names),
        "fresh": fresh,
    }


def each(stream: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The objects of a stream of JSON texts."""
    for line in stream:
        yield json.loads(line)
