from __future__ import annotations

from collections.abc import Iterator

import pytest

from stoker import errors
from stoker.errors import (
    ConfigError,
    ContextLengthExceededError,
    OverloadedError,
    PluginError,
    StokerError,
)
from stoker.wire.errors import ErrorWire


def _all(root: type[StokerError]) -> Iterator[type[StokerError]]:
    yield root
    for child in root.__subclasses__():
        yield from _all(child)


def test_the_tree_in_the_docstring_is_complete() -> None:
    """Every class stands in the drawing, which newcomers read first."""

    missing = [
        kind.__name__
        for kind in _all(StokerError)
        if kind.__module__ == "stoker.errors" and kind.__name__ not in (errors.__doc__ or "")
    ]

    assert [] == missing


@pytest.mark.parametrize(
    "error",
    [
        StokerError("plain"),
        ContextLengthExceededError(prompt_tokens=9, context_length=8),
        OverloadedError("full", retry_after_s=1.5),
        ConfigError(source="f.toml", key="a.b", problem="expected int"),
        PluginError("bad", plugin="p", distribution="d 1"),
    ],
)
def test_an_error_crosses_the_wire_unchanged(error: StokerError) -> None:
    """Class, sentence and data arrive as they were sent."""

    arrived = ErrorWire.from_domain(error).to_domain()

    assert (type(error), str(error), vars(error)) == (
        type(arrived),
        str(arrived),
        vars(arrived),
    )


def test_an_unknown_class_arrives_as_the_root() -> None:
    """An error that only a plugin knows keeps its sentence."""

    arrived = ErrorWire("NoSuchError", "words").to_domain()

    assert (StokerError, "words") == (type(arrived), str(arrived))
