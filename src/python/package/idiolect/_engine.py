"""A store with a language model and a sentence encoder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional, Union

from ._arguments import Path, Progress, bars, from_environment, path, work_options
from ._arguments import settings as _settings
from ._errors import SettingsError
from ._idiolect import ArrowTable, EngineHandle, JsonStream
from ._language_model import Lm
from ._records import (
    Imported,
    Indexed,
    Piece,
    Profile,
    Receipt,
    Record,
    Report,
    Representatives,
    Rows,
    Scored,
    Split,
    Written,
)
from ._sentence_encoder import Encoder
from ._tables import lines, rows_of, speaks_arrow

if TYPE_CHECKING:
    import pandas

Settings = Union[Mapping[str, Any], Path, None]

_TARGET = ("user", "item", "about", "context", "rating", "title")


class TextStream:
    """An iterator over the pieces of a text while it is written. It stops the work if it is closed or dropped."""

    def __init__(self, stream: JsonStream) -> None:
        self._stream = stream
        self._tokens: list[dict[str, Any]] = []
        self.written: Optional[Written] = None
        """The whole text with its cost, after the last piece."""

    def __iter__(self) -> Iterator[Piece]:
        return self

    def __next__(self) -> Piece:
        for line in self._stream:
            told = json.loads(line)
            if "done" in told:
                self.written = Written(told["done"])
            elif "tokens" in told:
                self._tokens += told["tokens"]
            else:
                piece = Piece({"text": told["piece"], "tokens": self._tokens})
                self._tokens = []
                return piece
        raise StopIteration

    def close(self) -> None:
        """Stops the work."""
        self._stream.close()


class TextRows:
    """An iterator over texts of many targets, in their order, as they are written."""

    def __init__(self, stream: JsonStream, total: int, make_bar: Optional[Callable[..., Any]]) -> None:
        self._stream = stream
        self._left = total
        self._bar = make_bar(total=total, desc="writing texts", leave=False) if make_bar and total else None

    def __iter__(self) -> Iterator[Written]:
        return self

    def __next__(self) -> Written:
        try:
            line = next(self._stream)
        except BaseException:
            self._end()
            raise
        self._left -= 1
        if self._bar is not None:
            self._bar.update(1)
        return Written(json.loads(line))

    def __length_hint__(self) -> int:
        return max(self._left, 0)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def close(self) -> None:
        """Stops the work."""
        self._end()
        self._stream.close()

    def to_list(self) -> Rows[Written]:
        """All texts that are left."""
        return Rows(self)

    def to_arrow(self) -> ArrowTable:
        """All texts that are left, as a table; see :meth:`Rows.to_arrow`."""
        return self.to_list().to_arrow()

    def to_pandas(self) -> pandas.DataFrame:
        """All texts that are left, as a data frame of pandas."""
        return self.to_list().to_pandas()


class Engine:
    """A store of reviews or messages, with a language model and a sentence encoder.

    Store and models are opened at their first use, and shared by all threads that use the engine; their requests are
    batched. A result does not depend on what else is in the batch, on the number of threads, or on what was stored:
    the same request and seed give the same text. An engine does not survive a ``fork``: make one in each process.

    ``store`` is a file, made by :meth:`import_table`. ``lm`` and ``encoder`` are catalog names
    (:func:`idiolect.models.available`) or paths. Options that are not given are taken from the environment, as the
    program takes them: ``IDIOLECT_STORE``, ``IDIOLECT_LM``, ``IDIOLECT_THREADS`` ...

    ``encoder_precision``: ``"f32"``, or ``"int8"`` for large corpora. ``device``: ``"auto"``, ``"cpu"``, ``"cuda:0"``.
    ``threads``: 0 is one a core. ``cpu_isa``: instruction set of the CPU kernels. ``kv_budget``: MiB of all keys and
    values. ``kv_precision``: ``"f16"`` or ``"bf16"``. ``progress``: ``True`` shows bars of tqdm, if it is installed,
    for work that counts; ``False`` nothing; a callable makes bars, called as ``tqdm`` is.
    """

    def __init__(
        self,
        store: Optional[Path] = None,
        *,
        lm: Optional[Path] = None,
        encoder: Optional[Path] = None,
        encoder_precision: Optional[str] = None,
        device: Optional[str] = None,
        threads: Optional[int] = None,
        cpu_isa: Optional[str] = None,
        kv_budget: Optional[int] = None,
        kv_precision: Optional[str] = None,
        share_prefixes: bool = True,
        models_dir: Optional[Path] = None,
        progress: Progress = True,
    ) -> None:
        self._store = from_environment("STORE", path(store), "idiolect.sqlite")
        self._handle = EngineHandle(
            work_options(
                self._store,
                lm,
                encoder,
                encoder_precision,
                device,
                threads,
                cpu_isa,
                kv_budget,
                kv_precision,
                share_prefixes,
                models_dir,
            )
        )
        self.progress = progress

    @property
    def store(self) -> str:
        """File of the store."""
        return str(self._store)

    @property
    def lm(self) -> Lm:
        """The language model; the first use loads it."""
        return Lm(self._handle.lm(self._bars()), self.progress)

    @property
    def encoder(self) -> Encoder:
        """The sentence encoder; the first use loads it."""
        return Encoder(self._handle.encoder(self._bars()), self.progress)

    def close(self) -> None:
        """Drops store and models. Calls that run keep theirs; a later call opens them again."""
        self._handle.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Engine({self.store!r})"

    # What the store holds.

    def import_table(
        self,
        data: Any,
        *,
        map: Optional[Mapping[str, str]] = None,
        items: Optional[Path] = None,
        format: Optional[str] = None,
        keep: Optional[str] = None,
        encoding: str = "auto",
        delimiter: str = "auto",
        date_order: Optional[str] = None,
        me: Union[str, Sequence[str]] = (),
        alias: Optional[Mapping[str, Union[str, Sequence[str]]]] = None,
        by_address: bool = False,
        strict: bool = False,
    ) -> Imported:
        """Imports reviews or messages. Imported again, nothing is stored twice.

        ``data`` is a table that speaks Arrow (pandas, polars, pyarrow, datasets, ...), an iterable of mappings, or
        the path of a file or folder in any format of ``idiolect import``. ``map`` says which column each field is in,
        where the names differ: ``user``, ``item``, ``text``, and optionally ``id``, ``rating``, ``title``, ``time``,
        ``item_title``, ``item_description``, ``item_categories``, ``answers``, ``answered_text``, ``answered_user``.
        ``items`` is a file with titles and descriptions. ``keep``: ``"all"`` or ``"newest"`` of a user's reviews on an
        item. ``strict`` stops at the first row that cannot be read, instead of counting it. The other options are for
        files, as ``idiolect import --help`` describes them.

        Raises :class:`DataError` if a column is missing or no row can be read.
        """
        is_path = isinstance(data, (str, os.PathLike))
        pairs = [
            (user, name)
            for user, names in (alias or {}).items()
            for name in ([names] if isinstance(names, str) else names)
        ]
        args = json.dumps(
            {
                "path": os.fspath(data) if is_path else None,
                "items": path(items),
                "format": format,
                "map": None if map is None else ",".join(f"{field}={column}" for field, column in map.items()),
                "keep": keep,
                "encoding": encoding,
                "delimiter": delimiter,
                "date_order": date_order,
                "me": [me] if isinstance(me, str) else list(me),
                "alias": pairs,
                "by_address": by_address,
                "strict": strict,
            }
        )
        told = json.loads(self._import(args, data, is_path))
        return Imported(told["imported"], told["bad"])

    def _import(self, args: str, data: Any, is_path: bool) -> str:
        if is_path:
            return self._handle.import_files(args, self._bars())
        if speaks_arrow(data):
            try:
                return self._handle.import_table(args, data, self._bars())
            except ImportError:
                # A data frame of pandas needs pyarrow to speak Arrow.
                pass
        return self._handle.import_lines(args, lines(data), self._bars())

    def counts(self) -> Record:
        """Numbers of ``reviews``, ``users`` and ``items``."""
        return Record(json.loads(self._handle.counts()))

    def users(self, *, min_reviews: int = 1, limit: Optional[int] = None) -> Rows[Record]:
        """The users, those with the most reviews first: ``user``, ``reviews``, ``first``, ``last`` (seconds)."""
        told = json.loads(self._handle.users(min_reviews, limit))
        return Rows(Record(user) for user in told["users"])

    def items(self) -> Rows[Record]:
        """The items, those with the most reviews first: ``item``, ``title``, ``reviews``."""
        return Rows(Record(item) for item in json.loads(self._handle.items()))

    def item(self, item: str) -> Record:
        """An item: ``id``, ``title``, ``description``, ``categories``."""
        return Record(json.loads(self._handle.item(item)))

    def history(self, user: str) -> Rows[Record]:
        """A user's reviews, oldest first."""
        return Rows(Record(review) for review in json.loads(self._handle.history(user)))

    def reviews_of(self, item: str) -> Rows[Record]:
        """The reviews of an item, oldest first."""
        return Rows(Record(review) for review in json.loads(self._handle.reviews_of(item)))

    def forget(
        self,
        user: str,
        *,
        item: Optional[str] = None,
        review: Optional[int] = None,
        dry_run: bool = False,
    ) -> Receipt:
        """Deletes a user, or their texts on an item, or one review, with everything that was derived from them.

        The store's file is rewritten, so that no byte of the texts is left in it. It asks nothing: look at
        ``dry_run=True`` first. ``not_reached`` lists places that it cannot know of.
        """
        args = {"user": user, "item": item, "review": review, "dry_run": dry_run}
        return Receipt(json.loads(self._handle.forget(json.dumps(args))))

    # The other users.

    def index(
        self, *, embedding: str = "residual", exact_below: Optional[int] = None, rebuild: bool = False
    ) -> Indexed:
        """Embeds the reviews that have no vector yet, and builds the index over users beside the store."""
        args = {"embedding": embedding, "exact_below": exact_below, "rebuild": rebuild}
        return Indexed(json.loads(self._handle.index(json.dumps(args), self._bars())))

    def neighbours(self, user: str, *, k: int = 10) -> list[str]:
        """The ``k`` users who write most like the user, the nearest first."""
        return self._handle.neighbours(user, k, self._bars())

    def representatives(
        self, user: str, item: str, *, k: int = 4, selector: str = "kmeans", seed: int = 42
    ) -> Representatives:
        """The peers that a user is compared with on an item."""
        args = {"user": user, "item": item, "k": k, "selector": selector, "seed": seed}
        return Representatives(json.loads(self._handle.representatives(json.dumps(args), self._bars())))

    def profile(
        self,
        user: str,
        *,
        method: str = "idiolect",
        item: Optional[str] = None,
        title: Optional[str] = None,
        before: Optional[int] = None,
        version: Optional[int] = None,
        task: Optional[Path] = None,
        settings: Settings = None,
        fresh: bool = False,
        **names: Any,
    ) -> Profile:
        """The differences of a user's writing from others': statements with evidence, or with ``method="dpl"`` a text.

        Statements are edited with ``idiolect profile USER --edit``; ``version`` shows an earlier version. Settings are
        given as to :meth:`write`.
        """
        args = {
            "user": user,
            "method": method,
            "item": item,
            "title": title,
            "before": before,
            "version": version,
            "settings": _settings(task, settings, fresh, names),
        }
        told = json.loads(self._handle.profile(json.dumps(args), self._bars()))
        return Profile(told["profile"], told["markdown"])

    # Texts.

    def write(
        self,
        user: str,
        item: Optional[str] = None,
        *,
        about: Optional[str] = None,
        context: Optional[str] = None,
        method: str = "idiolect",
        rating: Optional[float] = None,
        title: Optional[str] = None,
        seed: Optional[int] = None,
        max_tokens: Optional[int] = None,
        why: bool = False,
        before: Optional[int] = None,
        no_peer_text: Optional[bool] = None,
        task: Optional[Path] = None,
        settings: Settings = None,
        fresh: bool = False,
        **names: Any,
    ) -> Written:
        """Writes a text as a user would: what ``idiolect write`` writes with the same options and seed.

        ``item`` is one of the store; ``about`` is a subject that is not in it, and ``context`` a message to answer
        (with ``task="reply"``). Texts that the user has written on the item are held out. ``method`` is one of
        :func:`idiolect.models.methods`. ``why=True`` adds to the result what the user's texts and the steering added
        to each token's log-probability. ``before`` hides texts written from that time on (seconds since 1970).
        ``no_peer_text=True`` shows the language model no text by another user. ``fresh=True`` computes what is stored
        again.

        Settings of methods are keywords, by the last word of their key (``lexical=0.8``, ``temperature=0.7``, ``n=4``),
        or ``settings``: a mapping by whole keys (``{"idiolect.lexical": 0.8}``) or a TOML file. Keywords win over
        ``settings``, these over the task.

        Raises :class:`NotFoundError`, :class:`SettingsError`, :class:`NoHistoryError` and :class:`ModelError`.
        """
        args = {
            "text": _text(user, item, about, context, rating, title),
            "how": _how([method], seed, max_tokens, before, no_peer_text, task, settings, fresh, names),
            "why": why,
        }
        return Written(json.loads(self._handle.write(json.dumps(args), self._bars())))

    def stream(
        self,
        user: str,
        item: Optional[str] = None,
        *,
        about: Optional[str] = None,
        context: Optional[str] = None,
        method: str = "idiolect",
        rating: Optional[float] = None,
        title: Optional[str] = None,
        seed: Optional[int] = None,
        max_tokens: Optional[int] = None,
        why: bool = False,
        before: Optional[int] = None,
        no_peer_text: Optional[bool] = None,
        task: Optional[Path] = None,
        settings: Settings = None,
        fresh: bool = False,
        **names: Any,
    ) -> TextStream:
        """As :meth:`write`, in pieces while the text is written. With ``why=True`` a piece has its tokens."""
        args = {
            "text": _text(user, item, about, context, rating, title),
            "how": _how([method], seed, max_tokens, before, no_peer_text, task, settings, fresh, names),
            "why": why,
        }
        return TextStream(self._handle.stream(json.dumps(args)))

    def write_many(
        self,
        targets: Any,
        *,
        methods: Union[str, Sequence[str]] = "idiolect",
        at_once: int = 16,
        seed: Optional[int] = None,
        max_tokens: Optional[int] = None,
        before: Optional[int] = None,
        no_peer_text: Optional[bool] = None,
        task: Optional[Path] = None,
        settings: Settings = None,
        fresh: bool = False,
        **names: Any,
    ) -> TextRows:
        """Writes the texts of many targets, ``at_once`` of them at a time, and yields them in order as they come.

        ``targets`` is a table or an iterable of mappings with ``user``, and ``item``, ``about`` or ``context``, and
        optionally ``rating`` and ``title``. Each is written with each method. A target that cannot be written, because
        its user or item is unknown, its user has no texts or its prompt does not fit, has the reason in ``error``. The
        other options are those of :meth:`write`.
        """
        texts = [_target(row) for row in rows_of(targets)]
        chosen = [methods] if isinstance(methods, str) else list(methods)
        args = {
            "texts": texts,
            "how": _how(chosen, seed, max_tokens, before, no_peer_text, task, settings, fresh, names),
            "at_once": at_once,
        }
        stream = self._handle.write_many(json.dumps(args))
        return TextRows(stream, len(texts) * len(chosen), self._bars())

    def score(
        self,
        user: str,
        item: Optional[str] = None,
        *,
        text: str,
        about: Optional[str] = None,
        context: Optional[str] = None,
        method: str = "idiolect",
        rating: Optional[float] = None,
        title: Optional[str] = None,
        score_tokens: Optional[int] = None,
        why: bool = False,
        before: Optional[int] = None,
        no_peer_text: Optional[bool] = None,
        task: Optional[Path] = None,
        settings: Settings = None,
        fresh: bool = False,
        **names: Any,
    ) -> Scored:
        """The log-probability of a given text under the prompt that :meth:`write` would complete.

        ``score_tokens`` counts only the first tokens. ``why=True`` adds the attribution of each token.
        """
        args = {
            "text": _text(user, item, about, context, rating, title),
            "how": _how([method], None, None, before, no_peer_text, task, settings, fresh, names),
            "given": text,
            "why": why,
            "score_tokens": score_tokens,
        }
        return Scored(json.loads(self._handle.score(json.dumps(args), self._bars())))

    # Evaluation.

    def split(self, *, name: str = "default", preset: str = "dpl", **thresholds: Any) -> Split:
        """Holds out reviews for an evaluation. The store keeps all reviews.

        ``preset``: ``"dpl"`` (the thresholds of the DPL paper), ``"small"`` or ``"none"``. ``thresholds`` that differ:
        ``min_chars``, ``required``, ``min_description``, ``max_description``, ``repeated_items``, ``repeated_texts``,
        ``item_users``, ``min_reviews``, ``max_reviews``, ``profile_item_users``, ``profile_reviews``, ``train``,
        ``val``, ``test``.
        """
        args = {"name": name, "preset": preset, "thresholds": thresholds}
        return Split(json.loads(self._handle.split(json.dumps(args), self._bars())))

    def evaluate(
        self,
        methods: Sequence[str] = ("non-perso", "rag", "scp", "dpl"),
        *,
        measures: Sequence[str] = ("lexical", "likelihood", "wrong-user", "swap", "identification"),
        users: Optional[int] = None,
        split: str = "test",
        split_name: str = "default",
        wrong_users: int = 3,
        pairs: int = 60,
        peers_any_time: bool = False,
        seed: Optional[int] = None,
        seeds: int = 1,
        score_tokens: Optional[int] = 200,
        max_tokens: Optional[int] = None,
        judge: Optional[Path] = None,
        closeness_encoder: Optional[Path] = None,
        wordnet: Optional[Path] = None,
        no_peer_text: Optional[bool] = None,
        task: Optional[Path] = None,
        settings: Settings = None,
        fresh: bool = False,
        **names: Any,
    ) -> Report:
        """Evaluates methods on the held-out texts of a split, with controls, as ``idiolect evaluate`` does.

        Every answer and score is stored as soon as it is computed: interrupted, the same call goes on from there.
        ``measures``: ``"lexical"``, ``"likelihood"``, ``"wrong-user"``, ``"neutral-title"``, ``"swap"``,
        ``"identification"``, ``"judge"``, ``"judge-pairs"``.
        """
        given = locals()
        chosen = {
            name: value for name, value in given.items() if name not in ("self", "names", "fresh") and value is not None
        }
        args = {
            "methods": list(methods),
            "measures": list(measures),
            "split": split,
            "split_name": split_name,
            "users": users,
            "wrong_users": wrong_users,
            "pairs": pairs,
            "peers_any_time": peers_any_time,
            "seed": seed,
            "seeds": seeds,
            "score_tokens": score_tokens,
            "max_tokens": max_tokens,
            "judge": path(judge),
            "closeness_encoder": path(closeness_encoder),
            "wordnet": from_environment("WORDNET", path(wordnet), None),
            "no_peer_text": _no_peer_text(no_peer_text),
            "call": f"engine.evaluate({', '.join(f'{name}={value!r}' for name, value in {**chosen, **names}.items())})",
            "settings": _settings(task, settings, fresh, names),
        }
        told = json.loads(self._handle.evaluate(json.dumps(args), self._bars()))
        return Report(told["report"], told["html"], told["csv"])

    def _bars(self) -> Optional[Callable[..., Any]]:
        return bars(self.progress)


def _text(
    user: str,
    item: Optional[str],
    about: Optional[str],
    context: Optional[str],
    rating: Optional[float],
    title: Optional[str],
) -> dict[str, Any]:
    return {"user": user, "item": item, "about": about, "context": context, "rating": rating, "title": title}


def _target(row: Mapping[str, Any]) -> dict[str, Any]:
    unknown = [name for name in row if name not in _TARGET]
    if unknown or row.get("user") is None:
        what = f"`{unknown[0]}`, which is none" if unknown else "no `user`"
        raise SettingsError(f"a target has {what}; its fields are {', '.join(_TARGET)}")
    texts = {name: None if row.get(name) is None else str(row[name]) for name in _TARGET if name != "rating"}
    return {**texts, "rating": row.get("rating")}


def _how(
    methods: list[str],
    seed: Optional[int],
    max_tokens: Optional[int],
    before: Optional[int],
    no_peer_text: Optional[bool],
    task: Optional[Path],
    settings: Settings,
    fresh: bool,
    names: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "methods": methods,
        "seed": seed,
        "max_tokens": max_tokens,
        "before": before,
        "no_peer_text": _no_peer_text(no_peer_text),
        "settings": _settings(task, settings, fresh, names),
    }


def _no_peer_text(given: Optional[bool]) -> bool:
    return bool(from_environment("NO_PEER_TEXT", given, False))
