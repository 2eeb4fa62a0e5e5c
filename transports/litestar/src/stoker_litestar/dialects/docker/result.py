"""Answers that come whole, from a command's result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from stoker.dialect import CommandCall, CommandEncoder
from stoker.events import Failed, Loading
from stoker.management import Command, CommandEvent
from stoker.store import Progress
from stoker_litestar.dialects.docker.error import error_line
from stoker_litestar.dialects.docker.wire.encoder import encode

ResultT = TypeVar("ResultT")


class ResultEncoder(CommandEncoder, Generic[ResultT]):
    """Makes the answer of the result, and of nothing before it."""

    content_type = "application/json"

    def __init__(self, kind: type[ResultT], answer: Callable[[ResultT], object]) -> None:
        self._kind = kind
        self._answer = answer

    def feed(self, event: CommandEvent) -> bytes:
        """The result makes the answer."""
        match event:
            case Progress() | Loading():
                return b""
            case Failed(error):
                return error_line(error)
            case _:
                if not isinstance(event, self._kind):
                    raise TypeError(event)
                return encode(self._answer(event))


def answered(
    command: Command, kind: type[ResultT], answer: Callable[[ResultT], object]
) -> CommandCall:
    """A call whose answer is made of its result.

    Args:
        command: What to do.
        kind: The class of its result.
        answer: From the result to what is said in JSON.
    """
    return CommandCall(command, stream=False, encoder=lambda _context: ResultEncoder(kind, answer))
