"""A crew: threads that do the work of one transfer while the thread that asked for it watches.

Whoever pulls or pushes calls from one thread, and hears of progress in that thread only. The rest
is done by threads of a crew. The first error of any ends all of them, and so does leaving the
block: no thread of a crew outlives it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Protocol, Self

from stoker.errors import OperationCancelledError

TICK_S = 0.1
"""How often the watching thread looks up: to report, and to see that nobody waits any more."""


class Abortable(Protocol):
    """Something that a thread may be blocked in."""

    def abort(self) -> None:
        """Make the blocked thread go on, with an error."""


class Crew:
    """Threads of one transfer.

    `changed` guards `_error`, `_blocked` and what the threads share by their own choice; they wait
    on it for each other. The watching thread waits for `news`, so that it is not woken for each
    step of a thread.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.news = threading.Event()
        self._stopping = threading.Event()
        self._error: BaseException | None = None
        self._threads: list[threading.Thread] = []
        self._blocked: set[Abortable] = set()

    @property
    def stopping(self) -> bool:
        """Whether the threads are to end as soon as they can."""
        return self._stopping.is_set()

    def start(self, work: Callable[[], None], name: str) -> None:
        """Start a thread; an error out of `work` is raised by `watch`."""

        def run() -> None:
            try:
                work()
            except BaseException as exc:  # noqa: BLE001 - raised again by `watch`
                with self.changed:
                    self._error = self._error or exc
                    self._stopping.set()
                    self.changed.notify_all()
                self.news.set()

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def watch(self) -> None:
        """Wait for news, or a tick. Raises what ended a thread, if anything did."""
        self.news.wait(TICK_S)
        self.news.clear()
        with self.changed:
            error = self._error
        if error is not None:
            raise error

    def proceed(self) -> None:
        """Called by the threads between any two steps.

        Raises:
            OperationCancelledError: The crew is to end.
        """
        if self.stopping:
            raise OperationCancelledError("The transfer was given up.")

    def sleep(self, duration_s: float) -> None:
        """Sleep in a thread of the crew, no longer than the crew lives.

        Raises:
            OperationCancelledError: The crew is to end.
        """
        self._stopping.wait(duration_s)
        self.proceed()

    @contextlib.contextmanager
    def blocking(self, item: Abortable) -> Iterator[None]:
        """While the block runs, the thread may be blocked in `item`.

        Raises:
            OperationCancelledError: The crew is to end.
        """
        with self.changed:
            self.proceed()
            self._blocked.add(item)
        try:
            yield
        finally:
            with self.changed:
                self._blocked.discard(item)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self.changed:
            self._stopping.set()
            self.changed.notify_all()
            blocked = tuple(self._blocked)
        for item in blocked:
            item.abort()
        # No bound of its own: every wait of a thread has one, the longest being that of a connect.
        for thread in self._threads:
            thread.join()
