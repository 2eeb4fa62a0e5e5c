from __future__ import annotations

import pytest

from stoker.digest import Digest
from stoker.errors import LoadError
from stoker.supervisor.failures import Failures

KEY = (Digest.of(b"model"), "backend", b"{}")


def test_the_waits_grow() -> None:
    """The first failure may be an accident; then a second, doubling, up to a minute."""
    failures = Failures()
    waits = []
    for _ in range(9):
        failures.note(KEY, LoadError("broken."), 100.0)
        wait_s = 0.0
        while True:
            try:
                failures.check(KEY, "ai/x", 100.0 + wait_s)
                break
            except LoadError:
                wait_s += 1
        waits.append(wait_s)

    assert [0, 1, 2, 4, 8, 16, 32, 60, 60] == waits


def test_the_refusal_has_the_last_words() -> None:
    """Who asks meanwhile learns why it failed, and when it is tried again."""
    failures = Failures()
    for _ in range(3):
        failures.note(KEY, LoadError("the tensor is bent."), 100.0)

    with pytest.raises(LoadError, match=r"failed 3 times in a row.* in 2 s.*the tensor is bent\."):
        failures.check(KEY, "ai/x", 100.0)


def test_success_and_the_operator_forgive() -> None:
    """Nothing is held against a model that worked, or that somebody unloaded."""
    failures = Failures()
    for forgive in (
        lambda: failures.forget(KEY),
        lambda: failures.forget_model(KEY[0]),
    ):
        failures.note(KEY, LoadError("broken."), 100.0)
        failures.note(KEY, LoadError("broken."), 100.0)
        forgive()
        failures.check(KEY, "ai/x", 100.0)
