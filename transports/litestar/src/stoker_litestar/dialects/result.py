"""Answers that come whole, from a command's result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import attrs

from stoker.dialect import CommandCall, CommandEncoder, ResponseContext
from stoker.errors import StokerError
from stoker.events import Failed, Loading
from stoker.management import Command, CommandEvent
from stoker.store import Progress

ResultT = TypeVar("ResultT")


@attrs.frozen
class ResultForm:
    """How an API writes whole answers."""

    content_type: str
    failed: Callable[[StokerError], bytes]
    """Writes an error."""


class ResultEncoder(CommandEncoder, Generic[ResultT]):
    """Makes the answer of the result, and of nothing before it."""

    def __init__(
        self, form: ResultForm, kind: type[ResultT], answer: Callable[[ResultT], bytes]
    ) -> None:
        self.content_type = form.content_type
        self._failed = form.failed
        self._kind = kind
        self._answer = answer

    def feed(self, event: CommandEvent) -> bytes:
        """The result makes the answer."""
        match event:
            case Progress() | Loading():
                return b""
            case Failed(error):
                return self._failed(error)
            case _:
                if not isinstance(event, self._kind):
                    raise TypeError(event)
                return self._answer(event)


def answered(
    form: ResultForm,
    command: Command,
    kind: type[ResultT],
    answer: Callable[[ResultT, ResponseContext], bytes],
) -> CommandCall:
    """A call whose answer is made of its result.

    Args:
        form: The API's.
        command: What to do.
        kind: The class of its result.
        answer: From the result to the bytes.
    """
    return CommandCall(
        command,
        stream=False,
        encoder=lambda context: ResultEncoder(form, kind, lambda result: answer(result, context)),
    )
