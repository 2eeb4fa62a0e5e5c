"""Saved prefixes: states of sequences in host memory, and behind it in files."""

from __future__ import annotations

import itertools
import time
from array import array
from concurrent.futures import Future

import attrs

from stoker.prefix_tree import ROOT_SLOT, PrefixTree
from stoker_llama_cpp.prefix_files import PrefixFiles

WORTH_SAVING_TOKENS = 32
"""Fewer are computed again: they take a part of one step, and a state has a price of its own."""

PIECE_BYTES = 2**25
"""How much is copied at a time. It takes some 10 ms, and who comes meanwhile waits so long."""

FETCH_TIMEOUT_S = 10.0
"""How long a sequence waits for files when nothing else is there to do; then it computes."""
_UNWANTED_S = 1.0
"""What was read from a file is dropped when nobody asks for it so long: its sequence is gone."""


@attrs.define(eq=False)
class SavedPrefix:
    """The first tokens of some sequence, with the state that llama.cpp had of them."""

    id: int
    tokens: array[int]
    start: int
    """The state begins here; `parent` has what is before."""
    parent: SavedPrefix | None
    """Begins with the first `start` of the tokens; None when the state is of all tokens."""
    state: memoryview | None
    """None while it is only in a file."""
    used_ns: int = 0
    """When it was last used, by the clock of files; 0 when it was not in this process."""
    children: set[SavedPrefix] = attrs.field(factory=set)

    def chain(self) -> list[SavedPrefix]:
        """What has to be restored for this one, in order."""
        parts = [self]
        while (parent := parts[-1].parent) is not None:
            parts.append(parent)
        parts.reverse()
        return parts


@attrs.frozen
class Match:
    """How much of some tokens is saved, and where."""

    length: int
    prefix: SavedPrefix | None


NO_MATCH = Match(0, None)


@attrs.define
class _Fetch:
    """A state that is on its way from a file, or has come and is not taken yet."""

    future: Future[memoryview | None]
    asked_s: float = 0.0

    def lost(self) -> bool:
        """Whether there is no such state after all."""
        return self.future.done() and self.future.result() is None


@attrs.frozen
class RestorableState:
    """One state of those that make a prefix."""

    part: SavedPrefix
    state: memoryview
    end: int
    """Its tokens from here on are not of the prefix."""


class SavedPrefixes:
    """Keeps states within a budget of bytes; the least recently used leave first.

    A state that leaves goes to a file, if there are files, and is read from there when it is
    wanted. Rows that begin alike are not kept twice: the later one has only what follows the
    common part, and the earlier one as its parent.

    Attributes:
        limit_bytes: The budget.
        size_bytes: What is taken of it.
        piece_bytes: How much of a sequence is saved at a time.
        exact: Whether a state is good for all of its tokens only, because llama.cpp cannot cut it
            back. Such states have no parents.
    """

    def __init__(
        self,
        *,
        limit_bytes: int,
        exact: bool = False,
        files: PrefixFiles | None = None,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        """Begin with what is in the files."""
        self.limit_bytes = limit_bytes
        self.piece_bytes = piece_bytes
        self.size_bytes = 0
        self.exact = exact
        self._files = files
        self._ids = itertools.count()
        self._tree = PrefixTree()
        self._prefixes: dict[int, SavedPrefix] = {}
        # Those with a state, the least recently used first. The values mean nothing.
        self._resident: dict[SavedPrefix, None] = {}
        self._unwritten: dict[SavedPrefix, None] = {}
        self._fetches: dict[SavedPrefix, _Fetch] = {}
        by_name: dict[str, SavedPrefix] = {}
        # A parent has fewer tokens than its children, or the same and a smaller start.
        for name, row in sorted(
            files.scan() if files else [], key=lambda item: (len(item[1].tokens), item[1].start)
        ):
            parent = by_name.get(row.parent)
            if bool(row.start) == (parent is not None):
                by_name[name] = self._added(row.tokens, row.start, parent, None)

    @property
    def lasts(self) -> bool:
        """Whether prefixes outlive this process."""
        return self._files is not None

    def find(self, tokens: array[int]) -> Match:
        """Find what begins with most of these tokens."""
        for length, ids in self._tree.matches(tokens):
            if length < WORTH_SAVING_TOKENS:
                break
            found = [self._prefixes[number] for number in ids]
            if self.exact:
                found = [prefix for prefix in found if len(prefix.tokens) == length]
            if found:
                prefix: SavedPrefix | None = max(found, key=_is_resident)
                while prefix is not None and length <= prefix.start:
                    prefix = prefix.parent
                return Match(length, prefix)
        return NO_MATCH

    def branch(self, tokens: array[int]) -> int:
        """How many of these tokens some saved prefix begins with, be it of use or not.

        Where two prompts part, others may part from them: often a system prompt ends there.
        """
        return next((length for length, _ in self._tree.matches(tokens)), 0)

    def use(self, tokens: array[int]) -> None:
        """Note that a prompt begins; what is saved of it is worth keeping, also in a file."""
        self._drop_unwanted()
        prefix = self.find(tokens).prefix
        if prefix is not None:
            self.touch(prefix)
            if self._files is not None:
                self._unwritten.update(dict.fromkeys(prefix.chain()))

    def touch(self, prefix: SavedPrefix) -> None:
        """Note that a prefix was used, and so were those that it builds on."""
        # Those leave last: without them the others are of no use.
        now_ns, chain = time.time_ns(), prefix.chain()
        for depth, part in enumerate(chain):
            part.used_ns = now_ns + len(chain) - depth
            if part in self._resident:
                del self._resident[part]
                self._resident[part] = None

    def admit(self, size_bytes: int, parent: SavedPrefix | None) -> bool:
        """Make room for a state; says no when it does not fit beside those that it builds on."""
        needed = set(parent.chain()) if parent else set()
        fixed_bytes = sum(len(part.state or b"") for part in needed)
        if fixed_bytes + size_bytes > self.limit_bytes:
            return False
        while self.size_bytes + size_bytes > self.limit_bytes:
            victim = next(
                (
                    prefix
                    for prefix in self._resident
                    if prefix not in needed and not any(map(_is_resident, prefix.children))
                ),
                None,
            )
            if victim is None:
                return False
            self._displace(victim)
        return True

    def add(
        self, tokens: array[int], start: int, parent: SavedPrefix | None, state: memoryview
    ) -> None:
        """Keep a state for which there is room."""
        self.touch(self._added(tokens, start, parent, state))

    def ready(self, prefix: SavedPrefix) -> bool:
        """Whether `states` would not wait. Begins to read from files what it would wait for."""
        if self._files is None:
            return True
        fetches = {
            part: self._fetch(self._files, part) for part in prefix.chain() if part.state is None
        }
        for part, fetch in fetches.items():
            if fetch.lost():
                self.forget(part)
                return False
        return all(fetch.future.done() for fetch in fetches.values())

    def states(self, prefix: SavedPrefix, length: int) -> list[RestorableState]:
        """The states that have to be restored for a prefix's first tokens, in order.

        Waits for files. Ends early when one of them is gone or damaged; what needs it is forgotten.
        """
        states = []
        chain = prefix.chain()
        ends = [*(part.start for part in chain[1:]), min(length, len(prefix.tokens))]
        for part, end in zip(chain, ends, strict=True):
            state = part.state
            if state is None and self._files is not None:
                state = self._fetched(self._files, part)
            if state is None:
                break
            states.append(RestorableState(part, state, end))
        return states

    def forget(self, prefix: SavedPrefix, *, broken: bool = False) -> None:
        """Drop a prefix, and those that build on it.

        Args:
            prefix: May be forgotten already.
            broken: Its file is of no use either, and removed.
        """
        if broken and self._files is not None:
            self._files.remove(_name(self._files, prefix))
        for child in list(prefix.children):
            self.forget(child)
        if self._prefixes.pop(prefix.id, None) is None:
            return
        self._tree.remove(prefix.id)
        if prefix.parent is not None:
            prefix.parent.children.discard(prefix)
        self._unwritten.pop(prefix, None)
        self._fetches.pop(prefix, None)
        if prefix in self._resident:
            del self._resident[prefix]
            self.size_bytes -= len(prefix.state or b"")

    @property
    def unwritten(self) -> bool:
        """Whether `write_one` would write something."""
        return bool(self._unwritten)

    def write_one(self) -> None:
        """Have one of the prefixes written that were used: they would be missed after a crash."""
        prefix = next(iter(self._unwritten))
        del self._unwritten[prefix]
        if self._files is not None:
            self._write(self._files, prefix)

    def close(self) -> None:
        """Write what is only in memory to files, if there are files, the last used first."""
        if self._files is not None:
            self._files.hurry()
            for prefix in sorted(self._resident, key=_used_ns, reverse=True):
                self._write(self._files, prefix)
            self._files.close()

    def _added(
        self,
        tokens: array[int],
        start: int,
        parent: SavedPrefix | None,
        state: memoryview | None,
    ) -> SavedPrefix:
        prefix = SavedPrefix(next(self._ids), tokens, start, parent, state)
        if parent is not None:
            parent.children.add(prefix)
        # The tree has rows that begin alike only once.
        length, ids = next(iter(self._tree.matches(tokens)), (0, {ROOT_SLOT}))
        self._tree.start(prefix.id, next(iter(ids)), length)
        if length < len(tokens):
            self._tree.extend(prefix.id, tokens[length:])
        self._prefixes[prefix.id] = prefix
        if state is not None:
            self._keep(prefix, state)
        return prefix

    def _keep(self, prefix: SavedPrefix, state: memoryview) -> None:
        prefix.state = state
        self._resident[prefix] = None
        self.size_bytes += len(state)

    def _fetch(self, files: PrefixFiles, prefix: SavedPrefix) -> _Fetch:
        """Begin to read a state, unless that has begun."""
        fetch = self._fetches.get(prefix)
        if fetch is None:
            fetch = self._fetches[prefix] = _Fetch(files.fetch(_name(files, prefix)))
        fetch.asked_s = time.monotonic()
        return fetch

    def _fetched(self, files: PrefixFiles, prefix: SavedPrefix) -> memoryview | None:
        """Wait for a state, and keep it if there is room."""
        fetch = self._fetch(files, prefix)
        try:
            state = fetch.future.result(FETCH_TIMEOUT_S)
        except TimeoutError:
            return None
        self._fetches.pop(prefix, None)
        if state is None:
            self.forget(prefix)
        elif prefix.id in self._prefixes and self.admit(len(state), prefix):
            self._keep(prefix, state)
        return state

    def _drop_unwanted(self) -> None:
        """Let go of states that were read for sequences that were cancelled meanwhile."""
        until_s = time.monotonic() - _UNWANTED_S
        for part, fetch in list(self._fetches.items()):
            if fetch.asked_s < until_s and fetch.future.done():
                del self._fetches[part]

    def _displace(self, prefix: SavedPrefix) -> None:
        if self._files is not None and all(
            self._write(self._files, part) for part in prefix.chain()
        ):
            del self._resident[prefix]
            self.size_bytes -= len(prefix.state or b"")
            prefix.state = None
        else:
            self.forget(prefix)

    def _write(self, files: PrefixFiles, prefix: SavedPrefix) -> bool:
        if prefix.state is None:
            return True
        parent = _name(files, prefix.parent) if prefix.parent else ""
        return files.write(
            prefix.tokens, prefix.start, parent, prefix.state, used_ns=prefix.used_ns
        )


def _name(files: PrefixFiles, prefix: SavedPrefix) -> str:
    return files.name(prefix.tokens, prefix.start)


def _is_resident(prefix: SavedPrefix) -> bool:
    return prefix.state is not None


def _used_ns(prefix: SavedPrefix) -> int:
    return prefix.used_ns
