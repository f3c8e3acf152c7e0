"""Results: mappings whose fields are attributes too."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Optional, TypeVar

from ._idiolect import ArrowTable

if TYPE_CHECKING:
    import pandas

T = TypeVar("T", bound="Record")


class Record:
    """A result. ``dict(result)`` is the object that the program prints with ``--json``; its fields are attributes.

    It is no ``Mapping``, whose ``items`` would hide a field of that name.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = dict(fields)

    def keys(self) -> list[str]:
        """The names of the fields."""
        return list(self._fields)

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def __eq__(self, other: object) -> bool:
        return self._fields == other._fields if isinstance(other, Record) else NotImplemented

    def __getattr__(self, name: str) -> Any:
        # `copy` and `pickle` ask before `_fields` is there.
        fields = self.__dict__.get("_fields", {})
        for key in (name, name.replace("_", "-")):
            if key in fields:
                return fields[key]
        raise AttributeError(f"{type(self).__name__} has no field `{name}`; it has {', '.join(fields)}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name.replace("-", "_") for name in self._fields)]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={_short(value)}" for name, value in self._fields.items())
        return f"{type(self).__name__}({shown})"

    def to_dict(self) -> dict[str, Any]:
        """The fields."""
        return dict(self._fields)


class Rows(list[T]):
    """Results of one kind, which can become a table."""

    def to_dicts(self) -> list[dict[str, Any]]:
        """A dictionary for each row."""
        return [row.to_dict() for row in self]

    def to_arrow(self) -> ArrowTable:
        """A table for what reads the Arrow PyCapsule interface: ``polars.DataFrame(t)``, ``pyarrow.table(t)``."""
        return ArrowTable(json.dumps(self.to_dicts()))

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame of pandas, which must be installed."""
        import pandas

        frame: pandas.DataFrame = pandas.DataFrame(self.to_dicts())
        return frame


class Imported(Record):
    """Counts of an import by outcome, and of the store after it."""

    reviews: int
    users: int
    items: int
    read: int
    new: int
    updated: int
    unchanged: int
    outdated: int
    duplicates: int
    removed: int
    malformed: int

    def __init__(self, fields: Mapping[str, Any], bad: Iterable[Mapping[str, Any]]) -> None:
        super().__init__(fields)
        self.bad = [Record(line) for line in bad]
        """The first rows that could not be read, at most ten a file: ``file``, ``line``, ``reason``."""


class Indexed(Record):
    """The index over users, and how many texts were embedded for it."""

    reviews: int
    embedded: int
    truncated: int
    users: int
    dimension: int
    index: str
    embedding: str
    encoder: str
    stamp: str


class Split(Record):
    """Reviews held out for an evaluation, with what each filter left."""

    name: str
    users: int
    items: int
    reviews: int
    train: int
    val: int
    test: int


class Written(Record):
    """A text as a user would write it, and its cost."""

    method: str
    cut: list[dict[str, Any]]
    prompt_tokens: int
    completion_tokens: int
    finish: str
    user: str
    item: str
    seed: int
    past: list[int]

    @property
    def text(self) -> Optional[str]:
        """The text; ``None`` of a target of :meth:`idiolect.Engine.write_many` that could not be written."""
        text: Optional[str] = self._fields.get("text")
        return text

    @property
    def error(self) -> Optional[str]:
        """The reason why there is no text."""
        error: Optional[str] = self._fields.get("error")
        return error

    @property
    def why(self) -> Optional[list[dict[str, Any]]]:
        """For each token its log-probability and what the user's texts and the steering added, if asked for."""
        why: Optional[list[dict[str, Any]]] = self._fields.get("why")
        return why

    def __str__(self) -> str:
        return self.text or ""


class Piece(Record):
    """A piece of a text that is being written."""

    text: str
    tokens: list[dict[str, Any]]

    @property
    def logprob(self) -> Optional[float]:
        """Natural log-probability of its tokens, if they were asked for with ``why=True``."""
        values = [token["logprob"] for token in self.tokens]
        return sum(values) if values and None not in values else None

    @property
    def why(self) -> list[dict[str, Any]]:
        """Its tokens with what the user's texts and the steering added to their log-probability."""
        return self.tokens

    def __str__(self) -> str:
        return self.text


class Scored(Record):
    """Log-probabilities of a given text, as if a user wrote it."""

    n_tokens: int
    log_probability: float
    logprobs: list[float]
    bits: float
    bits_per_token: float


class Completion(Record):
    """A completion of the language model."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish: str

    def __str__(self) -> str:
        return self.text


class Score(Record):
    """Log-probabilities of a text after a prompt: ``tokens`` and ``logprobs``."""

    tokens: list[int]
    logprobs: list[float]

    def __init__(
        self,
        fields: Mapping[str, Any],
        bits_per_token: Optional[float],
        perplexity: Optional[float],
        log_probability: float,
    ) -> None:
        super().__init__(fields)
        self.bits_per_token = bits_per_token
        """Mean number of bits a token; ``None`` of an empty text."""
        self.perplexity = perplexity
        """2 to the power of the bits a token."""
        self.log_probability = log_probability
        """Natural logarithm of the whole text's probability."""


class Profile(Record):
    """The differences of a user's writing from others'."""

    user: str

    def __init__(self, fields: Mapping[str, Any], markdown: Optional[str]) -> None:
        super().__init__(fields)
        self.markdown = markdown
        """The profile as Markdown; ``None`` of method ``dpl``."""

    @property
    def statements(self) -> Rows[Record]:
        """The statements of method ``idiolect``: ``key``, ``text``, ``standing``, ``evidence``."""
        return Rows(Record(statement) for statement in self._fields.get("statements", []))

    @property
    def shown(self) -> Rows[Record]:
        """The statements that a language model is shown: those kept by validation, or pinned."""
        return Rows(s for s in self.statements if s.standing in ("kept", "pinned"))

    def _repr_markdown_(self) -> Optional[str]:
        return self.markdown


class Representatives(Record):
    """The peers that a user is compared with on an item."""

    user: str
    item: str
    k: int
    seed: int
    candidates: int
    dropped: int
    compared_with: str

    @property
    def representatives(self) -> Rows[Record]:
        """Their reviews, with what they represent."""
        return Rows(Record(one) for one in self._fields["representatives"])


class Receipt(Record):
    """The data that was deleted, or would be, and the places that were not reached."""

    user: str
    dry_run: bool
    forgotten: dict[str, Any]
    index_removed: bool
    not_reached: list[str]


class Report(Record):
    """Figures of an evaluation with intervals, comparisons of methods, and how to repeat it."""

    users: int
    texts: int
    seeds: int
    pairs: int
    methods: dict[str, Any]
    comparisons: list[dict[str, Any]]

    def __init__(self, fields: Mapping[str, Any], html: str, table: str) -> None:
        super().__init__(fields)
        self.html = html
        """The report with plots and examples, one page."""
        self.csv = table
        """The figures as CSV: method, measure, mean, low, high, n, p."""

    @property
    def figures(self) -> Rows[Record]:
        """A row for each method and measure: ``mean``, and the ``low`` and ``high`` end of its interval."""
        rows = csv.DictReader(io.StringIO(self.csv))
        return Rows(Record({name: _number(name, text) for name, text in row.items()}) for row in rows)

    def to_arrow(self) -> ArrowTable:
        """The figures as a table; see :meth:`Rows.to_arrow`."""
        return self.figures.to_arrow()

    def to_pandas(self) -> pandas.DataFrame:
        """The figures as a data frame of pandas."""
        return self.figures.to_pandas()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the report to a file: HTML, CSV or JSON by the end of its name."""
        name = os.fspath(path)
        ends = {".html": self.html, ".csv": self.csv, ".json": json.dumps(self._fields, ensure_ascii=False) + "\n"}
        end = os.path.splitext(name)[1].lower()
        if end not in ends:
            raise ValueError(f"{name}: the name must end in {', '.join(ends)}")
        with open(name, "w", encoding="utf-8", newline="") as file:
            file.write(ends[end])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{row.method}</td><td>{row.measure}</td><td>{_cell(row)}</td><td>{row.n}</td></tr>"
            for row in self.figures
        )
        return f"<table><tr><th>method</th><th>measure</th><th>mean</th><th>n</th></tr>{rows}</table>"


def _cell(row: Record) -> str:
    if row.mean is None:
        return ""
    ends = "" if row.low is None or row.high is None else f" ({row.low:.3f} to {row.high:.3f})"
    return f"{row.mean:.3f}{ends}"


def _number(name: str, text: str) -> Any:
    if name in ("method", "measure"):
        return text
    if text == "":
        return None
    return int(text) if name == "n" else float(text)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:76]} ..."
