"""What all contract-test classes share."""

from __future__ import annotations

from typing import Any, NoReturn


class Contract:
    """Base of the contract tests.

    A subclass may not replace a test, neither by itself nor by another base that it inherits from:
    a promise that the plugin breaks is marked instead, by an override with
    `@pytest.mark.xfail(reason=...)`, so that reports show it.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in {name for base in cls.__mro__ for name in vars(base)}:
            owners = [base for base in cls.__mro__ if name in vars(base)]
            standard = [base for base in owners if issubclass(base, Contract)][-1:]
            if not name.startswith("test_") or not standard or owners[0] is standard[0]:
                continue
            if not _is_excused(vars(owners[0])[name]):
                raise TypeError(
                    f"{owners[0].__name__}.{name} replaces a test of {standard[0].__name__}: mark"
                    " it with @pytest.mark.xfail(reason=...), or give your own test another name."
                )


def _is_excused(test: Any) -> bool:
    marks = getattr(test, "pytestmark", ())
    return any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)


def missing_fixture(contract: Contract, fixture: str, meaning: str) -> NoReturn:
    """Tell a subclass what it has to provide.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError(
        f"{type(contract).__name__} must override the fixture {fixture!r}: {meaning}."
    )
