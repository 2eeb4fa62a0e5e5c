"""Exit codes: the one table that maps errors to the number that `stoker` ends with.

The nearest class in an error's ancestry decides. Scripts may rely on the numbers:

====  ==========================================================================
0     It worked.
1     Something nobody expected: a bug in stoker or in a plugin. Of `stoker verify` and
      `stoker plugins doctor`: they found something.
2     The command line, a setting, a file or a request is wrong; change it.
3     What was asked for by name does not exist.
4     A registry or server wants (other) credentials.
5     It clashes with the present state: in use, ambiguous, already running.
6     Something is not installed, not free or not reachable; trying again may help.
130   Interrupted.
====  ==========================================================================
"""

from __future__ import annotations

from stoker.errors import (
    AccessDeniedError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    OperationCancelledError,
    StokerError,
    UnavailableError,
)

OK = 0
UNEXPECTED = 1
DAMAGED = 1
"""Of `stoker verify` and the like, which did what they were asked for: their answer is no."""
INVALID_INPUT = 2
INTERRUPTED = 130

EXIT_CODES: dict[type[BaseException], int] = {
    BaseException: UNEXPECTED,
    StokerError: UNEXPECTED,
    InvalidInputError: INVALID_INPUT,
    NotFoundError: 3,
    AccessDeniedError: 4,
    ConflictError: 5,
    UnavailableError: 6,
    OperationCancelledError: INTERRUPTED,
    KeyboardInterrupt: INTERRUPTED,
}

SUMMARY = (
    "Exit codes: 0 it worked; 1 a bug, or damage that `verify` or `plugins doctor` found;"
    " 2 wrong input or usage; 3 not found; 4 access denied; 5 conflict; 6 unavailable;"
    " 130 interrupted."
)
"""For `--help`."""


def exit_code(error: BaseException) -> int:
    """The code of an error: that of the nearest of its classes in the table."""
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)
