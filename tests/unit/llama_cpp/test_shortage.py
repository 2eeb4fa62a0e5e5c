from __future__ import annotations

import pytest

from stoker.errors import LoadError, OutOfMemoryError
from stoker_llama_cpp.shortage import told_apart


@pytest.mark.parametrize(
    "words",
    [
        "llama.cpp cannot make a context: failed to allocate buffer for kv cache.",
        "llama.cpp cannot load x.gguf: unable to allocate CPU buffer.",
        "llama.cpp cannot load x.gguf: cudaMalloc failed: out of memory.",
    ],
)
def test_a_lack_of_memory_is_told_apart(words: str) -> None:
    """The residency makes room for such a load and tries again."""
    with pytest.raises(OutOfMemoryError, match=r"llama\.cpp cannot"), told_apart():
        raise LoadError(words)


def test_python_may_have_none_either() -> None:
    """An allocation in Python is the same shortage."""
    with pytest.raises(OutOfMemoryError), told_apart():
        raise MemoryError


def test_other_reasons_stay_what_they_are() -> None:
    """A broken file does not become right by unloading others."""
    with pytest.raises(LoadError) as caught, told_apart():
        raise LoadError("llama.cpp cannot load x.gguf: tensor is out of bounds.")

    assert LoadError is type(caught.value)
