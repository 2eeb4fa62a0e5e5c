"""What the KV cache's book-keeping asks of llama.cpp."""

from __future__ import annotations

from typing import Protocol


class CellMemory(Protocol):
    """llama.cpp's side of the KV cache."""

    def share(self, source: int, slot: int, length: int, start: int = 0) -> None:
        """Give a slot another one's tokens from `start` to `length`; nothing is copied.

        The slot has no tokens at these positions. One without tokens before `start` can only be
        saved and forgotten, not be gone on with.
        """

    def reusable(self, slot: int, length: int) -> bool:
        """Whether a sequence can go on from a slot's first so many tokens."""

    def rewind(self, slot: int, length: int) -> int:
        """Cut a slot down to so many tokens, or to none; returns how many it has then."""

    def forget(self, slot: int) -> None:
        """Empty a slot."""

    def size_bytes(self, slot: int) -> int:
        """How large the state of a slot's tokens is, when it is saved."""

    def save(self, slot: int) -> memoryview | None:
        """Copy the state of a slot's tokens; None when it cannot be copied."""

    def load(self, slot: int, state: memoryview) -> bool:
        """Put a saved state into an empty slot, in free cells.

        Returns:
            Whether it could be done; the slot is empty otherwise.
        """
