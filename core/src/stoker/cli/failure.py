"""How a command that failed ends: one sentence on standard error, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING

import click

from stoker.cli.exit_codes import INTERRUPTED, exit_code
from stoker.errors import StokerError

if TYPE_CHECKING:
    from stoker.cli.invocation import Invocation

DEBUG_VARIABLE = "STOKER_DEBUG"
"""Set to 1, it shows the tracebacks of bugs as `-v` does."""


def end_with(error: BaseException, invocation: Invocation) -> int:
    """Say what went wrong.

    Returns:
        The exit code.
    """
    match error:
        case click.UsageError():
            path = error.ctx.command_path if error.ctx else "stoker"
            complain(f"{error.format_message()} (see `{path} --help`)")
            return error.exit_code
        case click.ClickException():
            complain(error.format_message())
            return error.exit_code
        case KeyboardInterrupt():
            if sys.stderr.isatty():
                # The terminal has shown ^C in the line.
                click.echo(err=True)
            return INTERRUPTED
        case StokerError():
            complain(error.message)
            _note_failed_plugins(invocation)
            return exit_code(error)
    _report_bug(error, verbose=invocation.verbose)
    return exit_code(error)


def complain(sentence: str) -> None:
    """Print an error to standard error."""
    click.echo(f"stoker: error: {sentence}", err=True)


def note(sentence: str) -> None:
    """Print a remark to standard error."""
    click.echo(f"stoker: {sentence}", err=True)


def _note_failed_plugins(invocation: Invocation) -> None:
    """A plugin that could not be loaded is often the reason."""
    failed = invocation.failed_plugins()
    if failed:
        note(f"note: these plugins could not be loaded: {', '.join(failed)}; see `stoker plugins`")


def _report_bug(error: BaseException, *, verbose: bool) -> None:
    words = "".join(traceback.format_exception_only(error)).strip()
    if verbose or os.environ.get(DEBUG_VARIABLE) == "1":
        traceback.print_exception(error, file=sys.stderr)
        hint = ""
    else:
        hint = " (`stoker -v ...` shows where)"
    complain(f"This is a bug in stoker or in a plugin, please report it: {words}{hint}")
