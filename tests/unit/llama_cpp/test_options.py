"""The options' bounds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stoker_llama_cpp.options import LlamaCppOptions


def test_everything_has_a_default() -> None:
    """An empty table is a good one."""

    assert LlamaCppOptions() == msgspec.convert({}, LlamaCppOptions)


@pytest.mark.parametrize(
    "table",
    [
        {"context_length": 1},
        {"max_sequences": 0},
        {"max_sequences": 257},
        {"batch_size": 0},
        {"threads": 0},
        {"gpu_layers": -1},
        {"flash_attention": "maybe"},
        {"cache_type_k": "q3_k"},
        {"n_ctx": 4096},
    ],
)
def test_bad_values_are_refused(table: dict[str, Any]) -> None:
    """Values out of range and unknown settings are refused when the config is read."""

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, LlamaCppOptions)
