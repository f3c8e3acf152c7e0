"""The language model alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Optional, Union

from ._arguments import Path, Progress, bars, work_options
from ._idiolect import JsonStream, LmHandle
from ._records import Completion, Score


class CompletionStream:
    """An iterator over the pieces of a completion. It stops the work if it is closed or dropped."""

    def __init__(self, stream: JsonStream) -> None:
        self._stream = stream
        self.completion: Optional[Completion] = None
        """The whole completion, after the last piece."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for line in self._stream:
            told = json.loads(line)
            if "done" in told:
                self.completion = Completion(told["done"])
                continue
            piece: str = told["piece"]
            return piece
        raise StopIteration

    def close(self) -> None:
        """Stops the work."""
        self._stream.close()


class Lm:
    """A language model, loaded. Any number of threads may use it; their requests are batched.

    Made by :func:`idiolect.lm` or :attr:`idiolect.Engine.lm`.
    """

    def __init__(self, handle: LmHandle, progress: Progress = True) -> None:
        self._handle = handle
        self._progress = progress

    @property
    def name(self) -> str:
        """Catalog name or file stem."""
        return self._handle.name

    @property
    def fingerprint(self) -> str:
        """Hash of everything besides a request that affects an answer."""
        return self._handle.fingerprint

    @property
    def context(self) -> int:
        """Maximum number of tokens of prompt and completion together."""
        return self._handle.context

    @property
    def n_weights(self) -> int:
        """Number of weights."""
        return self._handle.n_weights

    @property
    def is_small(self) -> bool:
        """Whether it has so few weights that its texts rarely make sense."""
        return self._handle.is_small

    def complete(
        self,
        prompt: str,
        *,
        chat: bool = False,
        system: Optional[str] = None,
        max_tokens: Optional[int] = None,
        stop: Union[str, Sequence[str]] = (),
        json_schema: Optional[dict[str, Any]] = None,
        regex: Optional[str] = None,
        logprobs: Optional[int] = None,
        **sampling: Any,
    ) -> Completion:
        """Continues a prompt, or answers it as a user message with ``chat=True``.

        ``max_tokens`` is 256 by default, or what is left of the window. ``stop`` are texts that end the completion;
        ``json_schema`` or ``regex`` is a form that it must have. With ``logprobs`` the completion has its tokens with
        as many likeliest ones beside each. ``sampling``: ``temperature`` (0, the likeliest token, by default),
        ``top_k``, ``top_p``, ``min_p``, ``repetition_penalty``, ``frequency_penalty``, ``presence_penalty``,
        ``dry_multiplier``, ``dry_base``, ``dry_allowed_length``, ``penalty_window``, ``logit_bias``, ``seed``.
        """
        args = _complete(prompt, chat, system, max_tokens, stop, json_schema, regex, logprobs, sampling)
        return Completion(json.loads(self._handle.complete(args, bars(self._progress))))

    def stream(
        self,
        prompt: str,
        *,
        chat: bool = False,
        system: Optional[str] = None,
        max_tokens: Optional[int] = None,
        stop: Union[str, Sequence[str]] = (),
        json_schema: Optional[dict[str, Any]] = None,
        regex: Optional[str] = None,
        logprobs: Optional[int] = None,
        **sampling: Any,
    ) -> CompletionStream:
        """As :meth:`complete`, in pieces while it is written."""
        args = _complete(prompt, chat, system, max_tokens, stop, json_schema, regex, logprobs, sampling)
        return CompletionStream(self._handle.stream(args))

    def score(self, prompt: str, text: str) -> Score:
        """The log-probability of each token of a text after a prompt, which may be empty."""
        told = json.loads(self._handle.score(prompt, text, bars(self._progress)))
        return Score(told.pop("score"), **told)

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a text; control markers in it are ordinary text."""
        return self._handle.tokenize(text)

    def __repr__(self) -> str:
        return f"Lm({self.name!r})"


def lm(
    name: Optional[Path] = None,
    *,
    device: Optional[str] = None,
    threads: Optional[int] = None,
    cpu_isa: Optional[str] = None,
    kv_budget: Optional[int] = None,
    kv_precision: Optional[str] = None,
    share_prefixes: bool = True,
    models_dir: Optional[Path] = None,
    progress: Progress = True,
) -> Lm:
    """Loads a language model: a catalog name or the path of a GGUF file.

    The options are those of :class:`idiolect.Engine`.
    """
    options = work_options(
        None, name, None, None, device, threads, cpu_isa, kv_budget, kv_precision, share_prefixes, models_dir
    )
    return Lm(LmHandle(options, bars(progress)), progress)


def _complete(
    prompt: str,
    chat: bool,
    system: Optional[str],
    max_tokens: Optional[int],
    stop: Union[str, Sequence[str]],
    json_schema: Optional[dict[str, Any]],
    regex: Optional[str],
    logprobs: Optional[int],
    sampling: dict[str, Any],
) -> str:
    return json.dumps(
        {
            "prompt": prompt,
            "chat": chat,
            "system": system,
            "max_tokens": max_tokens,
            "stop": [stop] if isinstance(stop, str) else list(stop),
            "json_schema": json_schema,
            "regex": regex,
            "logprobs": logprobs,
            "sampling": sampling,
        }
    )
