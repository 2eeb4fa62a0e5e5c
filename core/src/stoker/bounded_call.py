"""Calling code that nobody knows, with an end: what takes too long is left behind."""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class TookTooLongError(Exception):
    """The call was given up."""


class _GivenUpError(BaseException):
    """Raised inside a call that nobody waits for any more."""


def call_bounded(work: Callable[[], T], *, timeout_s: float) -> T:
    """Call a function, and give it up when it takes too long.

    It runs in a thread of its own, because nothing else can be left. What it prints goes to
    standard error: it must not end up in somebody's JSON. Given up, it ends as soon as it comes
    back from what holds it, before it can do or print anything more.

    Args:
        work: The function.
        timeout_s: How long it may take.

    Raises:
        TookTooLongError: It took longer.
        BaseException: Whatever it raised.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as exc:  # noqa: BLE001 - raised again below, for whoever called
            errors.append(exc)

    # A daemon: a call that hangs for ever must not keep the process.
    thread = threading.Thread(target=run, name="plugin", daemon=True)
    with contextlib.redirect_stdout(sys.stderr):
        thread.start()
        thread.join(timeout_s)
    if thread.is_alive():
        _end(thread)
        raise TookTooLongError
    for error in errors:
        raise error
    return results[0]


def _end(thread: threading.Thread) -> None:
    """Raise an exception in a thread; it comes when the thread runs Python code again."""
    identity = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, ctypes.py_object(_GivenUpError))
