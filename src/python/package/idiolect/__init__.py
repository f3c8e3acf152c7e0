"""Writes as one particular person would: a local language model, a sentence encoder and an index over users.

>>> import idiolect
>>> engine = idiolect.Engine("reviews.sqlite", lm="smollm2-135m-instruct")
>>> engine.import_table([{"user": "ann", "item": "kettle", "text": "It sings."}])
>>> print(engine.write("ann", about="A lamp with two dials").text)

The names are those of the command line: a keyword is an option, and ``dict()`` of a result is the object that the
program prints with ``--json``. Nothing opens a connection but :func:`idiolect.models.fetch`.
"""

from . import metrics, models
from ._engine import Engine, TextRows, TextStream
from ._errors import (
    DataError,
    Error,
    ModelError,
    NoHistoryError,
    NotFoundError,
    PeerIndexError,
    SettingsError,
    StoreError,
)
from ._idiolect import __version__
from ._language_model import CompletionStream, Lm, lm
from ._sentence_encoder import Embeddings, Encoder, encoder
from ._records import (
    Completion,
    Imported,
    Indexed,
    Piece,
    Profile,
    Receipt,
    Record,
    Report,
    Representatives,
    Rows,
    Score,
    Scored,
    Split,
    Written,
)

__all__ = [
    "Completion",
    "CompletionStream",
    "DataError",
    "Embeddings",
    "Encoder",
    "Engine",
    "Error",
    "Imported",
    "Indexed",
    "Lm",
    "ModelError",
    "NoHistoryError",
    "NotFoundError",
    "PeerIndexError",
    "Piece",
    "Profile",
    "Receipt",
    "Record",
    "Report",
    "Representatives",
    "Rows",
    "Score",
    "Scored",
    "SettingsError",
    "Split",
    "StoreError",
    "TextRows",
    "TextStream",
    "Written",
    "__version__",
    "encoder",
    "lm",
    "metrics",
    "models",
]
