"""Tool calls in answers: put together from their pieces, for Ollama sends each as a whole."""

from __future__ import annotations

from typing import Any

import attrs
import msgspec

from stoker.events import ToolCallDelta
from stoker_litestar.dialects.ollama.wire.message import FunctionObject, ToolCallObject

_ARGUMENTS = msgspec.json.Decoder(dict[str, Any])


@attrs.define
class _Open:
    """A call of which pieces still come."""

    index: int
    id: str = ""
    name: str = ""
    pieces: list[str] = attrs.field(factory=list)


@attrs.frozen
class Written:
    """Calls that are complete, and what the model wrote in their place that is none."""

    calls: tuple[ToolCallObject, ...] = ()
    text: str = ""


class ToolCalls:
    """The calls of one answer, which come one after the other."""

    def __init__(self) -> None:
        self._open: _Open | None = None

    def take(self, delta: ToolCallDelta) -> Written:
        """Take a piece; the first one of a call completes the call before it."""
        before = Written()
        if self._open is None or self._open.index != delta.call_index:
            before = self.end()
            self._open = _Open(delta.call_index)
        self._open.id = delta.id or self._open.id
        self._open.name = delta.name or self._open.name
        self._open.pieces.append(delta.arguments)
        return before

    def end(self) -> Written:
        """Complete the call that is open, if one is."""
        call, self._open = self._open, None
        if call is None:
            return Written()
        text = "".join(call.pieces)
        try:
            arguments = _ARGUMENTS.decode(text or "{}")
        except (msgspec.MsgspecError, RecursionError):
            # There is no room for broken arguments in the form, and nothing is dropped in silence.
            return Written(text=f"{call.name}{text}")
        function = FunctionObject(call.name, arguments, call.index)
        return Written((ToolCallObject(call.id, function),))
