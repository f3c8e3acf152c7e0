"""Metrics of predicted texts against reference texts, equal to the usual Python implementations.

ROUGE equals rouge-score 0.1.2 (f-measure, no stemmer), BLEU sacrebleu 2.5.1 (13a, exp), METEOR NLTK 3.10, if
``wordnet`` names a folder with WordNet and Punkt's parameters; without it METEOR knows no synonyms and has another
name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any, Optional, Union

from ._arguments import Path, path
from ._idiolect import metrics as _metrics
from ._records import Record, Rows

__all__ = ["Scores", "bleu", "distinct", "meteor", "rouge", "score"]

Texts = Union[str, Sequence[str]]


class Scores(Record):
    """All metrics over pairs of texts: the object of ``idiolect metrics --json``."""

    n: int
    rouge1: float
    rougeL: float
    bleu: float
    distinct1: float
    distinct2: float

    def __init__(self, fields: dict[str, Any], pairs: Sequence[dict[str, Any]]) -> None:
        super().__init__(fields)
        self.pairs: Rows[Record] = Rows(Record(pair) for pair in pairs)
        """The values of each pair; ``bleu`` is that of the sentence."""


def score(
    predictions: Texts,
    references: Texts,
    *,
    history: Optional[Sequence[Sequence[str]]] = None,
    peers: Optional[Sequence[Sequence[str]]] = None,
    wordnet: Optional[Path] = None,
) -> Scores:
    """All metrics. ``history`` and ``peers`` are, for each prediction, texts that it may have copied from."""
    folder = path(wordnet) or os.environ.get("IDIOLECT_WORDNET") or None
    lists = [None if texts is None else [list(of) for of in texts] for texts in (history, peers)]
    told = json.loads(_metrics(_list(predictions), _list(references), lists[0], lists[1], folder))
    return Scores(told["scores"], told["pairs"])


def rouge(predictions: Texts, references: Texts) -> dict[str, float]:
    """ROUGE-1 and ROUGE-L: means over the pairs, 0 to 1."""
    scores = score(predictions, references)
    return {"rouge1": scores.rouge1, "rougeL": scores.rougeL}


def bleu(predictions: Texts, references: Texts) -> float:
    """BLEU of all pairs together, 0 to 100."""
    return score(predictions, references).bleu


def meteor(predictions: Texts, references: Texts, *, wordnet: Optional[Path] = None) -> float:
    """METEOR: mean over the pairs, 0 to 1. Its variant depends on ``wordnet``; :func:`score` names it."""
    scores = score(predictions, references, wordnet=wordnet)
    value: float = next(scores[name] for name in scores if name.startswith("meteor"))
    return value


def distinct(texts: Texts) -> dict[str, float]:
    """Distinct words over words, and distinct pairs of words over words."""
    scores = score(texts, texts)
    return {"distinct1": scores.distinct1, "distinct2": scores.distinct2}


def _list(texts: Texts) -> list[str]:
    return [texts] if isinstance(texts, str) else list(texts)
