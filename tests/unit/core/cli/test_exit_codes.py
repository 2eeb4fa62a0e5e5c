"""The table of exit codes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stoker.cli.exit_codes import EXIT_CODES, SUMMARY, UNEXPECTED, exit_code
from stoker.errors import (
    BackendUnavailableError,
    InUseError,
    ModelNotFoundError,
    PluginError,
    StokerError,
)


def _subclasses(kind: type[StokerError]) -> Iterator[type[StokerError]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


@pytest.mark.parametrize("kind", sorted(set(_subclasses(StokerError)), key=str))
def test_every_error_has_a_code_of_its_branch(kind: type[StokerError]) -> None:
    """Only a plugin's own fault ends like a bug; every other error says whose turn it is."""
    code = next(EXIT_CODES[item] for item in kind.__mro__ if item in EXIT_CODES)

    assert (code == UNEXPECTED) == issubclass(kind, PluginError)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelNotFoundError("no", model="x"), 3),
        (InUseError("no"), 5),
        (BackendUnavailableError("no"), 6),
        (KeyboardInterrupt(), 130),
        (ValueError("no"), 1),
    ],
)
def test_the_nearest_class_decides(error: BaseException, code: int) -> None:
    """A class without an entry takes that of its base."""

    assert code == exit_code(error)


def test_help_documents_all_codes() -> None:
    """No code is in the table that the help does not explain."""

    assert [] == [code for code in EXIT_CODES.values() if f" {code} " not in SUMMARY]
