"""llama.cpp's log: kept from printing, and asked for its words when something fails.

The library has one log per process, so there is one of these, too.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import attrs
from llama_cpp import llama_cpp as native

_LOGGER = logging.getLogger(__name__)

# enum ggml_log_level of ggml/include/ggml.h.
_ERROR = 4
_CONTINUED = 5


@attrs.frozen
class LogLine:
    """One line, without its end."""

    level: int
    text: str

    @property
    def is_error(self) -> bool:
        """Whether llama.cpp calls it an error."""
        return self.level == _ERROR


class NativeLog:
    """Takes llama.cpp's log; errors go to Python's logging as such, the rest there as debug."""

    def __init__(self) -> None:
        self._recordings: list[list[LogLine]] = []
        self._level = 0
        self._partial = ""
        # ctypes does not keep a callback alive that C holds.
        self._callback = native.llama_log_callback(self._on_text)

    def install(self) -> None:
        """Take the log; done again before every load, because others may have taken it."""
        native.llama_log_set(self._callback, ctypes.c_void_p(0))

    @contextlib.contextmanager
    def recording(self) -> Iterator[list[LogLine]]:
        """Collect all lines from now on in the list that this gives."""
        lines: list[LogLine] = []
        self._recordings.append(lines)
        try:
            yield lines
        finally:
            # By identity: two empty lists are equal.
            self._recordings = [item for item in self._recordings if item is not lines]

    def _on_text(self, level: int, text: bytes, _user_data: Any) -> None:
        if level != _CONTINUED:
            self._level = level
        *whole, self._partial = (self._partial + text.decode(errors="replace")).split("\n")
        for item in whole:
            line = LogLine(self._level, item)
            for lines in self._recordings:
                lines.append(line)
            _LOGGER.log(logging.ERROR if line.is_error else logging.DEBUG, "%s", line.text)


def cause(lines: Iterable[LogLine]) -> str:
    """Why something failed, as a part of a sentence.

    The first error names the cause; those after it say who gave up because of it.
    """
    text = next((line.text for line in lines if line.is_error), "it does not say why")
    # Lines begin with the name of the C++ function that wrote them.
    function, colon, rest = text.partition(": ")
    return (rest if colon and " " not in function else text).strip().rstrip(".")


LOG = NativeLog()
