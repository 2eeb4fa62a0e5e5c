"""Text without the white space around it, as it arrives."""

from __future__ import annotations

from collections.abc import Callable


class Trimmed:
    """Hands text on; white space waits until something follows it.

    Models write line ends between reasoning, answer and calls that belong to none of them.
    """

    __slots__ = ("_begun", "_put", "_space")

    def __init__(self, put: Callable[[str], None]) -> None:
        self._put = put
        self._space = ""
        self._begun = True

    def put(self, text: str) -> None:
        """Take the next piece."""
        text = self._space + text
        if not self._begun:
            text = text.lstrip()
        shown = text.rstrip()
        self._space = text[len(shown) :]
        if shown:
            self._begun = True
            self._put(shown)

    def trim(self) -> None:
        """Leave out white space that comes now, until there is something else."""
        self._begun = False

    def forget(self) -> None:
        """Leave out the white space that waits."""
        self._space = ""

    def flush(self) -> None:
        """Hand the white space on that waits, if anything stands before it."""
        if self._space and self._begun:
            self._put(self._space)
        self._space = ""
