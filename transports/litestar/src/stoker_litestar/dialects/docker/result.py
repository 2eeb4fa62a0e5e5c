"""Answers of Docker Model Runner that come whole."""

from __future__ import annotations

from collections.abc import Callable

from stoker.dialect import CommandCall
from stoker.management import Command
from stoker_litestar.dialects.docker.error import error_line
from stoker_litestar.dialects.docker.wire.encoder import encode
from stoker_litestar.dialects.result import ResultForm, ResultT
from stoker_litestar.dialects.result import answered as answered_in

_FORM = ResultForm("application/json", error_line)


def answered(
    command: Command, kind: type[ResultT], answer: Callable[[ResultT], object]
) -> CommandCall:
    """A call whose answer is made of its result.

    Args:
        command: What to do.
        kind: The class of its result.
        answer: From the result to what is said in JSON.
    """
    return answered_in(_FORM, command, kind, lambda result, _context: encode(answer(result)))
