"""How large a context is."""

from __future__ import annotations

import pytest

from stoker_llama_cpp.context_shape import (
    DRAFT_ROWS,
    KEPT_SLOTS,
    LEAST_RAM_BYTES,
    ContextShape,
    padded_cells,
    prefix_ram_bytes,
)
from stoker_llama_cpp.options import MAX_SEQUENCES, LlamaCppOptions


@pytest.mark.parametrize(
    ("options", "recurrent", "slots", "rows"),
    [
        ({"max_sequences": 4}, False, 4 + KEPT_SLOTS, 4 + DRAFT_ROWS),
        ({"max_sequences": 4, "prefix_cache": False}, False, 4, 4 + DRAFT_ROWS),
        ({"max_sequences": 4, "speculation": False}, False, 4 + KEPT_SLOTS, 4),
        ({"max_sequences": 4}, True, 4, 4),
        ({"max_sequences": MAX_SEQUENCES}, False, MAX_SEQUENCES, MAX_SEQUENCES + DRAFT_ROWS),
        ({"max_sequences": 4, "batch_size": 10}, False, 4 + KEPT_SLOTS, 10),
    ],
)
def test_slots_and_rows(
    options: dict[str, int | bool], recurrent: bool, slots: int, rows: int
) -> None:
    """Kept prefixes have slots and guesses have rows, where the model's memory allows them."""
    shape = ContextShape(LlamaCppOptions(**options), recurrent=recurrent)

    assert (slots, rows) == (shape.slots, shape.rows)
    assert max(slots, rows) == shape.kept_rows


@pytest.mark.parametrize(("tokens", "cells"), [(1, 256), (256, 256), (257, 512)])
def test_the_cache_is_padded(tokens: int, cells: int) -> None:
    """Cells come by the 256."""
    assert cells == padded_cells(tokens)


def test_memory_for_prefixes() -> None:
    """As much as the options say, else as the cache, but not little."""
    assert 5 == prefix_ram_bytes(LlamaCppOptions(prefix_ram_bytes=5), 2**40)
    assert 2**40 == prefix_ram_bytes(LlamaCppOptions(), 2**40)
    assert LEAST_RAM_BYTES == prefix_ram_bytes(LlamaCppOptions(), 1)
