"""Telling a lack of memory from other reasons why llama.cpp cannot load a model."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from stoker.errors import LoadError, OutOfMemoryError

# What llama.cpp and ggml write when an allocation fails: src/llama-model.cpp,
# src/llama-kv-cache.cpp, ggml/src/ggml-backend.cpp, ggml/src/ggml-cuda/ggml-cuda.cu.
_WORDS = re.compile(
    r"failed to allocate|unable to allocate|failed to alloc|out of memory|cannot allocate memory",
    re.IGNORECASE,
)


@contextlib.contextmanager
def told_apart() -> Iterator[None]:
    """Turn a `LoadError` that speaks of memory into an `OutOfMemoryError`.

    Raises:
        OutOfMemoryError: Memory was short.
        LoadError: It was something else.
    """
    try:
        yield
    except LoadError as exc:
        if _WORDS.search(exc.message):
            raise OutOfMemoryError(exc.message) from exc
        raise
    except MemoryError as exc:
        raise OutOfMemoryError("Python has no memory left for the model.") from exc
