"""What runners printed: the last lines of each model, also when its runner is gone."""

from __future__ import annotations

from collections import OrderedDict, deque
from itertools import islice

from stoker.digest import Digest
from stoker.host import LogLines

MAX_LINES = 1000
"""That are kept of one model."""
MAX_MODELS = 16
"""Of which lines are kept; the one that was started longest ago is forgotten first."""


class LineRing:
    """The last lines of one model, over all its runners."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._count = 0

    def add(self, line: str) -> None:
        """Keep a line."""
        self._lines.append(line)
        self._count += 1

    def after(self, number: int) -> LogLines:
        """The lines from a number on, as far as they are kept."""
        first = self._count - len(self._lines)
        return LogLines(tuple(islice(self._lines, max(number - first, 0), None)), self._count)


class EngineLogs:
    """The lines of all models that were started."""

    def __init__(self) -> None:
        self._rings: OrderedDict[Digest, LineRing] = OrderedDict()

    def ring(self, digest: Digest) -> LineRing:
        """Where a model that is being started writes to."""
        ring = self._rings.pop(digest, None) or LineRing()
        self._rings[digest] = ring
        while len(self._rings) > MAX_MODELS:
            self._rings.popitem(last=False)
        return ring

    def after(self, digest: Digest, number: int) -> LogLines:
        """A model's lines from a number on; none when it was never started."""
        ring = self._rings.get(digest)
        return ring.after(number) if ring else LogLines((), 0)
