"""How far a transfer has come, on standard error: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from stoker.cli.interrupt import CheckInterrupt, interruptible
from stoker.cli.quantities import size_text

if TYPE_CHECKING:
    import rich.progress

    from stoker.store import Progress, ReportProgress

LINE_INTERVAL_S = 3.0
"""An item gets a line at most so often, ..."""
LINE_PERCENT = 10
"""... or when so much more of it is done; a start and an end always."""

_DIGEST_PREFIX = "sha256:"
_DIGEST_WIDTH = len(_DIGEST_PREFIX) + 12


@contextlib.contextmanager
def transfer_progress(*, quiet: bool) -> Iterator[ReportProgress]:
    """Show progress while the block runs; Ctrl-C ends the work that reports.

    Args:
        quiet: Show nothing.
    """
    with contextlib.ExitStack() as stack:
        check = stack.enter_context(interruptible())
        if quiet:
            yield _Silence(check)
        elif sys.stderr.isatty():
            yield _Bars(check, stack.enter_context(_rich_bars()))
        else:
            yield _Lines(check)


class _Silence:
    """Shows nothing."""

    def __init__(self, check: CheckInterrupt) -> None:
        self._check = check

    def __call__(self, _progress: Progress, /) -> None:
        self._check()


class _Bars:
    """One bar per item. `_lock` guards the bars: several threads report."""

    def __init__(self, check: CheckInterrupt, bars: rich.progress.Progress) -> None:
        self._check = check
        self._bars = bars
        self._tasks: dict[tuple[str, str], rich.progress.TaskID] = {}
        self._lock = threading.Lock()

    def __call__(self, progress: Progress, /) -> None:
        self._check()
        key = (progress.stage, progress.item)
        with self._lock:
            if key not in self._tasks:
                self._tasks[key] = self._bars.add_task(_title(progress), total=None)
            self._bars.update(
                self._tasks[key], completed=progress.done_bytes, total=progress.total_bytes
            )


class _Lines:
    """A line per item now and then. `_lock` guards the last ones: several threads report."""

    def __init__(self, check: CheckInterrupt) -> None:
        self._check = check
        self._last: dict[tuple[str, str], tuple[float, float]] = {}
        self._lock = threading.Lock()

    def __call__(self, progress: Progress, /) -> None:
        self._check()
        key = (progress.stage, progress.item)
        now_s = time.monotonic()
        percent = _percent(progress)
        with self._lock:
            last_s, last_percent = self._last.get(key, (None, -1.0))
            ended = percent == 100 != last_percent  # noqa: PLR2004 - per cent
            slow = last_s is None or now_s - last_s >= LINE_INTERVAL_S
            if ended or slow or percent - last_percent >= LINE_PERCENT:
                self._last[key] = (now_s, percent)
                click.echo(_line(progress), err=True)


def _percent(progress: Progress) -> float:
    if not progress.total_bytes:
        return 0.0
    return min(100.0, 100 * progress.done_bytes / progress.total_bytes)


def _line(progress: Progress) -> str:
    done = size_text(progress.done_bytes)
    if progress.total_bytes is None:
        return f"{_title(progress)}: {done}" if progress.done_bytes else _title(progress)
    return f"{_title(progress)}: {done} of {size_text(progress.total_bytes)}"


def _title(progress: Progress) -> str:
    item = progress.item
    if item.startswith(_DIGEST_PREFIX):
        item = item[:_DIGEST_WIDTH]
    return f"{progress.stage} {item}".strip()


def _rich_bars() -> rich.progress.Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
    )
