"""Stop strings: texts that end an answer, found across the borders of tokens."""

from __future__ import annotations

from collections.abc import Sequence


class _Automaton:
    """The Knuth-Morris-Pratt automaton of one stop string.

    `state` is how many of its first characters are the last characters of the text so far.
    """

    __slots__ = ("failure", "state", "stop")

    def __init__(self, stop: str) -> None:
        self.stop = stop
        self.state = 0
        # failure[k]: the longest proper prefix of stop[:k] that is also its suffix.
        self.failure = [0] * (len(stop) + 1)
        length = 0
        for position in range(1, len(stop)):
            while length and stop[position] != stop[length]:
                length = self.failure[length]
            if stop[position] == stop[length]:
                length += 1
            self.failure[position + 1] = length

    def advance(self, character: str) -> bool:
        """Take the next character; True when it completes the stop string."""
        state, stop = self.state, self.stop
        while state and stop[state] != character:
            state = self.failure[state]
        if stop[state] == character:
            state += 1
        if state == len(stop):
            self.state = self.failure[state]
            return True
        self.state = state
        return False


class StopMatcher:
    """Looks for the stop strings of one choice.

    The match is the one that a search of the whole text would find, however the text is cut into
    pieces: the one that starts first and, of two that start together, the shorter one. Text that
    may yet turn out to be part of it is held back. Time is linear in the text.
    """

    __slots__ = ("_automata", "_end", "_firsts", "_found", "_held", "_holder")

    def __init__(self, stops: Sequence[str]) -> None:
        self._automata = [_Automaton(stop) for stop in stops]
        self._firsts = frozenset(stop[0] for stop in stops)
        # Held text is always the beginning of a stop string, so no buffer is needed for it:
        # it is the first `_held` characters of `_holder`.
        self._held = 0
        self._holder = ""
        # Where the text so far ends, and the best match so far as (start, stop string).
        self._end = 0
        self._found: tuple[int, str] | None = None

    def feed(self, text: str) -> tuple[str, str | None]:
        """Take the next piece of text; to be called no more once a stop string was returned.

        Returns:
            The text that can be shown, and the stop string once it is certain.
        """
        if not self._held and self._firsts.isdisjoint(text):
            self._end += len(text)
            return text, None
        shown_until = self._end - self._held
        for character in text:
            self._end += 1
            for automaton in self._automata:
                if automaton.advance(character):
                    start = self._end - len(automaton.stop)
                    if self._found is None or start < self._found[0]:
                        self._found = (start, automaton.stop)
            if self._found and self._end - self._longest() >= self._found[0]:
                # No stop string that began earlier can still be completed.
                start, stop = self._found
                return self._since(shown_until, start, text), stop
        boundary = self._end - self._longest()
        shown = self._since(shown_until, boundary, text)
        self._held = self._end - boundary
        self._holder = max(self._automata, key=lambda automaton: automaton.state).stop
        return shown, None

    def finish(self) -> tuple[str, str | None]:
        """The text has ended: return what was held back, and the stop string if there is one."""
        held = self._holder[: self._held]
        if self._found is None:
            return held, None
        start, stop = self._found
        return held[: start - (self._end - self._held)], stop

    def _longest(self) -> int:
        return max(automaton.state for automaton in self._automata)

    def _since(self, start: int, end: int, text: str) -> str:
        """The text between two positions, out of what was held and the piece after it."""
        length = end - start
        if length <= self._held:
            return self._holder[:length]
        return self._holder[: self._held] + text[: length - self._held]
