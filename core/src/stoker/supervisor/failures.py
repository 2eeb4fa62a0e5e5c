"""Failures of models in a row: what fails again and again is not tried again at once."""

from __future__ import annotations

import attrs

from stoker.digest import Digest
from stoker.errors import LoadError, StokerError
from stoker.supervisor.resident import Key

FIRST_DELAY_S = 1.0
"""After the second failure; the first one may have been an accident."""
LONGEST_DELAY_S = 60.0
_MAX_DOUBLINGS = 10


@attrs.frozen
class _Failure:
    count: int
    error: StokerError
    until_s: float


class Failures:
    """The failures since the last success, by model.

    A model that failed to load, or whose runner crashed before it had answered anything, waits
    longer each time before it is started again.
    """

    def __init__(self) -> None:
        self._failures: dict[Key, _Failure] = {}

    def check(self, key: Key, name: str, now_s: float) -> None:
        """Let a load through.

        Raises:
            LoadError: It failed too often, and not long enough ago; says why it failed.
        """
        failure = self._failures.get(key)
        if failure is not None and now_s < failure.until_s:
            raise LoadError(
                f"{name} failed {failure.count} times in a row and is tried again in"
                f" {failure.until_s - now_s:.0f} s, or when it was unloaded with `stoker stop`."
                f" The last time: {failure.error.message}"
            )

    def note(self, key: Key, error: StokerError, now_s: float) -> None:
        """Count a failure."""
        count = self._failures[key].count + 1 if key in self._failures else 1
        delay_s = 0.0
        if count > 1:
            doublings = min(count - 2, _MAX_DOUBLINGS)
            delay_s = min(FIRST_DELAY_S * 2**doublings, LONGEST_DELAY_S)
        self._failures[key] = _Failure(count, error, now_s + delay_s)

    def forget(self, key: Key) -> None:
        """It works, or somebody wants it tried again. Nothing to forget is a no-op."""
        self._failures.pop(key, None)

    def forget_model(self, digest: Digest) -> None:
        """The same for a model in all backends and with all options."""
        self._failures = {key: item for key, item in self._failures.items() if key[0] != digest}
