"""The catalog of models. :func:`fetch` is the only function of the package that opens a connection."""

from __future__ import annotations

import json
from typing import Optional

from ._arguments import Path, Progress, bars, from_environment, path
from ._idiolect import fetch_model
from ._idiolect import methods as _methods
from ._idiolect import models as _models
from ._records import Record, Rows

__all__ = ["available", "fetch", "methods"]


def available(*, models_dir: Optional[Path] = None) -> Rows[Record]:
    """All models of the catalog, and where those on this machine are: ``idiolect models list --json``."""
    return Rows(Record(model) for model in json.loads(_models(path(models_dir))))


def fetch(
    name: str,
    *,
    models_dir: Optional[Path] = None,
    offline: Optional[bool] = None,
    progress: Progress = True,
) -> Record:
    """Makes sure that a model is on this machine; every file is checked against its SHA-256.

    Of the result, ``path`` is the file or folder, and ``source`` where it came from, or ``None`` if it was there.
    ``offline=True``, ``IDIOLECT_OFFLINE`` or ``HF_HUB_OFFLINE`` forbids connections.
    """
    forbidden = from_environment("OFFLINE", offline, False)
    return Record(json.loads(fetch_model(name, path(models_dir), bool(forbidden), bars(progress))))


def methods() -> Rows[Record]:
    """All methods of writing, with their papers."""
    return Rows(Record(method) for method in json.loads(_methods()))
