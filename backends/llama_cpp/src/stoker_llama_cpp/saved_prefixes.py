"""Saved prefixes: states of sequences in host memory, and behind it in files."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import attrs

from stoker_llama_cpp.prefix_files import PrefixFiles
from stoker_llama_cpp.prefix_tree import common_length

WORTH_SAVING_TOKENS = 32
"""Fewer are computed again. Restoring so many costs some 0.1 ms, or 1 ms with recurrent layers;
computing them takes at least 50 ms on a small processor, and a step of its own on any device."""


@attrs.define(eq=False)
class SavedPrefix:
    """The first tokens of some sequence, with the state that llama.cpp had of them."""

    tokens: array[int]
    start: int
    """The state begins here; `parent` has what is before."""
    parent: SavedPrefix | None
    """Has at least `start` tokens; None when the state is of all tokens."""
    state: memoryview | None
    """None while it is only in a file."""

    def chain(self) -> list[SavedPrefix]:
        """What has to be restored for this one, in order."""
        return [*(self.parent.chain() if self.parent else ()), self]


@attrs.frozen
class Match:
    """How much of some tokens is saved, and where."""

    length: int
    prefix: SavedPrefix | None


NO_MATCH = Match(0, None)


class SavedPrefixes:
    """Keeps states within a budget of bytes; the least recently used leave first.

    A state that leaves goes to a file, if there are files, and is read from there when it is
    wanted. Rows that begin alike are not kept twice: the later one has only what follows the
    common part, and the earlier one as its parent.

    Attributes:
        limit_bytes: The budget.
        exact: Whether a state is good for all of its tokens only, because llama.cpp cannot cut it
            back. Such states have no parents.
    """

    def __init__(
        self, *, limit_bytes: int, exact: bool = False, files: PrefixFiles | None = None
    ) -> None:
        """Begin with what is in the files."""
        self.limit_bytes = limit_bytes
        self.exact = exact
        self._files = files
        self._size_bytes = 0
        # The least recently used first. The values mean nothing.
        self._prefixes: dict[SavedPrefix, None] = {}
        by_name: dict[str, SavedPrefix] = {}
        # A parent has fewer tokens than its children.
        found = files.scan() if files else []
        for name, row in sorted(found, key=lambda item: len(item[1].tokens)):
            parent = by_name.get(row.parent)
            if bool(row.start) == (parent is not None):
                by_name[name] = SavedPrefix(row.tokens, row.start, parent, None)
        # Files are found in the order of their use.
        for name, _ in found:
            if name in by_name:
                self._prefixes[by_name[name]] = None

    @property
    def lasts(self) -> bool:
        """Whether prefixes outlive this process."""
        return self._files is not None

    def find(self, tokens: array[int]) -> Match:
        """Find what begins with most of these tokens."""
        best = NO_MATCH
        for prefix, length in self._alike(tokens):
            if length > best.length and (not self.exact or length == len(prefix.tokens)):
                best = Match(length, prefix)
        prefix = best.prefix
        while prefix is not None and best.length <= prefix.start:
            prefix = prefix.parent
        return Match(best.length, prefix)

    def branch(self, tokens: array[int]) -> int:
        """How many of these tokens some saved prefix begins with, be it of use or not.

        Where two prompts part, others may part from them: often a system prompt ends there.
        """
        return max((length for _, length in self._alike(tokens)), default=0)

    def touch(self, prefix: SavedPrefix) -> None:
        """Note that a prefix was used, and so were those that it builds on."""
        for part in prefix.chain():
            del self._prefixes[part]
            self._prefixes[part] = None

    def admit(self, size_bytes: int, parent: SavedPrefix | None) -> bool:
        """Make room for a state; says no when it does not fit beside those that it builds on."""
        needed = set(parent.chain()) if parent else set()
        while self._size_bytes + size_bytes > self.limit_bytes:
            built_on = {prefix.parent for prefix in self._prefixes if prefix.state is not None}
            victim = next(
                (
                    prefix
                    for prefix in self._prefixes
                    if prefix.state is not None and prefix not in built_on | needed
                ),
                None,
            )
            if victim is None:
                return False
            self._displace(victim)
        return True

    def add(self, prefix: SavedPrefix) -> None:
        """Keep a prefix for which there is room."""
        self._prefixes[prefix] = None
        if prefix.state is not None:
            self._size_bytes += len(prefix.state)

    def states(self, prefix: SavedPrefix) -> list[tuple[SavedPrefix, memoryview]]:
        """The states that have to be restored for a prefix, in order.

        Reads files. Ends early when one of them is gone or damaged; what needs it is forgotten.
        """
        states = []
        for part in prefix.chain():
            state = part.state
            if state is None and self._files is not None:
                state = self._files.read(_name(self._files, part))
                if state is None:
                    self.forget(part)
                    break
                if self.admit(len(state), part):
                    part.state = state
                    self._size_bytes += len(state)
            if state is not None:
                states.append((part, state))
        return states

    def forget(self, prefix: SavedPrefix) -> None:
        """Drop a prefix, and those that build on it."""
        for other in [other for other in self._prefixes if prefix in other.chain()]:
            del self._prefixes[other]
            self._size_bytes -= len(other.state or b"")

    def close(self) -> None:
        """Write what is only in memory to files, if there are files, the last used first."""
        if self._files is not None:
            for prefix in reversed(self._prefixes):
                for part in prefix.chain():
                    self._write(self._files, part)
            self._files.close()

    def _alike(self, tokens: array[int]) -> Iterator[tuple[SavedPrefix, int]]:
        """The prefixes that begin with enough of these tokens, and with how many."""
        head = tokens[:WORTH_SAVING_TOKENS]
        if len(head) == WORTH_SAVING_TOKENS:
            for prefix in self._prefixes:
                if prefix.tokens[:WORTH_SAVING_TOKENS] == head:
                    yield prefix, common_length(prefix.tokens, tokens)

    def _displace(self, prefix: SavedPrefix) -> None:
        if self._files is not None and all(
            self._write(self._files, part) for part in prefix.chain()
        ):
            self._size_bytes -= len(prefix.state or b"")
            prefix.state = None
        else:
            self.forget(prefix)

    def _write(self, files: PrefixFiles, prefix: SavedPrefix) -> bool:
        if prefix.state is None:
            return True
        parent = _name(files, prefix.parent) if prefix.parent else ""
        return files.write(prefix.tokens, prefix.start, parent, prefix.state)


def _name(files: PrefixFiles, prefix: SavedPrefix) -> str:
    return files.name(prefix.tokens, prefix.start)
