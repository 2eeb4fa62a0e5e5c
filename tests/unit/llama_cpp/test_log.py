"""llama.cpp's log."""

from __future__ import annotations

import logging

import pytest

from stoker_llama_cpp.log import LogLine, NativeLog, cause
from stoker_llama_cpp.memory import memory_bytes


def test_pieces_become_lines(caplog: pytest.LogCaptureFixture) -> None:
    """Text comes in pieces; lines go to Python's logging, and only errors as errors."""

    log = NativeLog()
    with caplog.at_level(logging.DEBUG), log.recording() as lines:
        for level, text in ((2, b"load: "), (5, b"one\nload: "), (5, b"two\n"), (4, b"f: bad\n")):
            log._on_text(level, text, None)
    log._on_text(4, b"f: after\n", None)

    assert [LogLine(2, "load: one"), LogLine(2, "load: two"), LogLine(4, "f: bad")] == lines
    assert [logging.DEBUG, logging.DEBUG, logging.ERROR, logging.ERROR] == [
        record.levelno for record in caplog.records
    ]


def test_recordings_nest() -> None:
    """An inner recording takes nothing from the outer one."""

    log = NativeLog()
    with log.recording() as outer:
        with log.recording() as inner:
            log._on_text(2, b"a\n", None)
        log._on_text(2, b"b\n", None)

    assert ["a"] == [line.text for line in inner]
    assert ["a", "b"] == [line.text for line in outer]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["gguf_init: failed to read magic", "load: failed to load model"], "failed to read magic"),
        (["load: error loading model: x: y."], "error loading model: x: y"),
        (["out of memory"], "out of memory"),
        ([], "it does not say why"),
    ],
)
def test_the_first_error_is_the_cause(texts: list[str], expected: str) -> None:
    """The cause is the first error, without the function that wrote it."""

    assert expected == cause([LogLine(3, "f: a warning"), *(LogLine(4, text) for text in texts)])


def test_buffers_add_up() -> None:
    """A load's memory is the sum of the buffers that the log tells of."""

    lines = [
        LogLine(2, "load_tensors:   CPU_Mapped model buffer size =    93.50 MiB"),
        LogLine(2, "llama_kv_cache:        CPU KV buffer size =   180.00 MiB"),
        LogLine(2, "llama_context: n_ctx = 8192"),
    ]

    assert round(273.5 * 2**20) == memory_bytes(lines)
    assert None is memory_bytes(lines[2:])
