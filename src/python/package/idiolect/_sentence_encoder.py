"""The sentence encoder alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Optional, Union

from ._arguments import Path, Progress, bars, work_options
from ._idiolect import EncoderHandle

if TYPE_CHECKING:
    import numpy


class Embeddings(Sequence["list[float]"]):
    """Vectors of texts, in their order, f32.

    ``numpy.asarray(embeddings)`` has the shape ``[texts, dimension]`` and copies nothing; ``embeddings.data`` is the
    same as a ``memoryview``.
    """

    def __init__(self, vectors: bytes, dimension: int, n_tokens: list[int], truncated: list[bool]) -> None:
        self.shape = (len(n_tokens), dimension)
        """Number of texts, length of a vector."""
        flat = memoryview(vectors)
        # A memoryview has no shape with a zero in it.
        self.data = flat.cast("f", self.shape) if n_tokens else flat.cast("f")
        """The vectors as a read-only buffer."""
        self.n_tokens = n_tokens
        """Tokens of each text, before it was cut."""
        self.truncated = truncated
        """Whether each text was longer than the encoder's window, and its end left out."""

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, at: Any) -> Any:
        return self.tolist()[at] if isinstance(at, slice) else self._row(at)

    def __iter__(self) -> Iterator[list[float]]:
        return (self._row(at) for at in range(len(self)))

    def _row(self, at: int) -> list[float]:
        n, dimension = self.shape
        if not -n <= at < n:
            raise IndexError(f"there are {n} vectors, not one at {at}")
        at = at % n
        flat: Any = self.data.cast("B").cast("f")
        row: list[float] = flat[at * dimension : (at + 1) * dimension].tolist()
        return row

    def tolist(self) -> list[list[float]]:
        """The vectors as lists of numbers."""
        return list(self)

    def __array__(self, dtype: Any = None, copy: Optional[bool] = None) -> numpy.ndarray[Any, Any]:
        import numpy

        made = numpy.frombuffer(self.data.cast("B"), dtype=numpy.float32).reshape(self.shape)
        if dtype is not None and made.dtype != numpy.dtype(dtype):
            if copy is False:
                raise ValueError("another type of numbers needs a copy")
            return made.astype(dtype)
        return made.copy() if copy else made

    def __repr__(self) -> str:
        return f"Embeddings(shape={self.shape})"


class Encoder:
    """A sentence encoder, loaded. Made by :func:`idiolect.encoder` or :attr:`idiolect.Engine.encoder`."""

    def __init__(self, handle: EncoderHandle, progress: Progress = True) -> None:
        self._handle = handle
        self._progress = progress

    @property
    def name(self) -> str:
        """Catalog name or name of the folder."""
        return self._handle.name

    @property
    def stamp(self) -> str:
        """Hash of everything that determines a vector. Vectors of different stamps cannot be compared."""
        return self._handle.stamp

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._handle.dimension

    @property
    def max_tokens(self) -> int:
        """Longest text in tokens; longer ones are cut."""
        return self._handle.max_tokens

    def embed(self, texts: Union[str, Sequence[str]]) -> Embeddings:
        """Embeds texts. A vector does not depend on the other texts or the number of threads."""
        given = [texts] if isinstance(texts, str) else list(texts)
        vectors, n_tokens, truncated = self._handle.embed(given, bars(self._progress))
        return Embeddings(vectors, self.dimension, n_tokens, truncated)

    def __repr__(self) -> str:
        return f"Encoder({self.name!r})"


def encoder(
    name: Optional[Path] = None,
    *,
    encoder_precision: Optional[str] = None,
    device: Optional[str] = None,
    threads: Optional[int] = None,
    cpu_isa: Optional[str] = None,
    models_dir: Optional[Path] = None,
    progress: Progress = True,
) -> Encoder:
    """Loads a sentence encoder: a catalog name or the path of a folder.

    The options are those of :class:`idiolect.Engine`.
    """
    options = work_options(None, None, name, encoder_precision, device, threads, cpu_isa, None, None, True, models_dir)
    return Encoder(EncoderHandle(options, bars(progress)), progress)
