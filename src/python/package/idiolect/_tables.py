"""Tables and rows that come in: whatever speaks Arrow, and mappings."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from ._errors import DataError
from ._idiolect import table_rows
from ._records import Record

ROWS_AT_ONCE = 1000


def speaks_arrow(data: Any) -> bool:
    """Whether it is a table with the Arrow PyCapsule interface."""
    return hasattr(data, "__arrow_c_stream__")


def rows_of(data: Any) -> list[dict[str, Any]]:
    """The rows of a table or of an iterable of mappings."""
    if speaks_arrow(data):
        try:
            return [json.loads(row) for row in table_rows(data)]
        except ImportError:
            # A data frame of pandas needs pyarrow to speak Arrow.
            pass
    return [json.loads(_line(row)) for row in mappings(data)]


def lines(data: Any) -> Iterator[bytes]:
    """JSON lines of an iterable of mappings, many at a time."""
    rows = mappings(data)
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        yield "".join(f"{_line(row)}\n" for row in batch).encode()


def mappings(data: Any) -> Iterator[Mapping[str, Any]]:
    """The rows of an iterable of mappings, or of a data frame."""
    if hasattr(data, "to_dict") and hasattr(data, "columns"):
        data = data.to_dict("records")
    if isinstance(data, (str, bytes, Mapping)) or not isinstance(data, Iterable):
        raise DataError(f"got {type(data).__name__}, expected a table, or an iterable of mappings such as dicts")
    for row in data:
        if isinstance(row, Record):
            row = row.to_dict()
        if not isinstance(row, Mapping):
            raise DataError(f"a row is {type(row).__name__}, expected a mapping such as a dict")
        yield row


def _line(row: Mapping[str, Any]) -> str:
    # Names of columns may be numbers or other objects.
    return json.dumps({str(name): _plain(value) for name, value in row.items()})


def _plain(value: Any) -> Any:
    """A value as JSON has it. What is missing (``None``, NaN, NaT) is null; times are in ISO 8601."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(of) for name, of in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(of) for of in value]
    # NaN and NaT are not themselves; `pandas.NA` has no truth.
    try:
        if bool(value != value):
            return None
    except (TypeError, ValueError):
        return None if type(value).__name__ == "NAType" else str(value)
    if isinstance(value, float):
        return value
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    # Numbers of numpy.
    item = getattr(value, "item", None)
    if callable(item):
        return _plain(item())
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value)
