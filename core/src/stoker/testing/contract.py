"""What all contract-test classes share."""

from __future__ import annotations

from typing import NoReturn


class Contract:
    """Base of the contract tests.

    A subclass may not replace a test: a promise that the plugin breaks is marked instead, by an
    override with `@pytest.mark.xfail(reason=...)`, so that reports show it.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name, member in vars(cls).items():
            inherited = any(hasattr(base, name) for base in cls.__bases__)
            if not (name.startswith("test_") and inherited):
                continue
            marks = getattr(member, "pytestmark", ())
            excused = any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)
            if not excused:
                raise TypeError(
                    f"{cls.__name__}.{name} replaces a test of the contract: mark it with"
                    " @pytest.mark.xfail(reason=...), or give your own test another name."
                )


def missing_fixture(contract: Contract, fixture: str, meaning: str) -> NoReturn:
    """Tell a subclass what it has to provide.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError(
        f"{type(contract).__name__} must override the fixture {fixture!r}: {meaning}."
    )
