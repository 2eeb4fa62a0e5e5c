"""Calling code that nobody knows, with an end: what takes too long is left behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


class TookTooLongError(Exception):
    """The call was given up."""


class _GivenUpError(BaseException):
    """Raised inside a call that nobody waits for any more."""


def call_bounded(work: Callable[[], T], *, timeout_s: float) -> T:
    """Call a function, and give it up when it takes too long.

    It runs in a thread of its own, because nothing else can be left. What it prints, or a C library
    does, goes to standard error: it must not end up in somebody's JSON. Given up, it ends as soon
    as it comes back from what holds it, before it can do or print anything more.

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
    with _output_to_stderr():
        thread.start()
        thread.join(timeout_s)
    if thread.is_alive():
        _end(thread)
        raise TookTooLongError
    for error in errors:
        raise error
    return results[0]


@contextlib.contextmanager
def _output_to_stderr() -> Iterator[None]:
    """Lead standard output to standard error, for Python and for everything else."""
    try:
        ours = os.dup(1)
    except OSError:
        # There is none, as in some services: nothing to keep clean.
        with contextlib.redirect_stdout(sys.stderr):
            yield
        return
    if sys.stdout is not None:
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        # C libraries keep in memory what goes to a pipe, and would write it at the very end.
        ctypes.pythonapi.fflush(None)
        os.dup2(ours, 1)
        os.close(ours)


def _end(thread: threading.Thread) -> None:
    """Raise an exception in a thread; it comes when the thread runs Python code again."""
    identity = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, ctypes.py_object(_GivenUpError))
