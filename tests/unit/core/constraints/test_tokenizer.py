"""Tests of `stoker.constraints.tokenizer`."""

from __future__ import annotations

import ctypes

import pytest

from stoker.constraints import tokenizer
from stoker.engine import Vocabulary


def test_an_engine_that_cannot_spell_a_text_spells_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The library gets a count in any case: an exception would leave it with any number."""

    def encode(_text: str) -> list[int]:
        raise ValueError("no luck")

    spelling = tokenizer._Spelling(Vocabulary([b"a", b""], frozenset({1})), encode)
    text, room = ctypes.create_string_buffer(b"aa"), (ctypes.c_uint32 * 4)()

    assert 0 == tokenizer._c_function(spelling)(None, text, 2, room, 4)
    assert ["The engine's tokenizer failed on a forced text"] == [
        record.message for record in caplog.records
    ]
