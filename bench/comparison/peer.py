"""The contract of a peer: something that serves a model and is measured."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Sequence
from pathlib import Path

import attrs

from comparison.generation import Arrival, Reading
from comparison.model import BenchModel


@attrs.frozen
class Serving:
    """What every peer is told alike; all else is its default."""

    model: BenchModel
    streams: int
    """Most answers side by side."""
    context_length: int
    """Tokens of one stream."""
    threads: int


class Session(abc.ABC):
    """A peer that runs."""

    launched_s: float = 0.0
    """When its process was started, by `time.perf_counter`."""

    @abc.abstractmethod
    async def play(self, arrivals: Sequence[Arrival]) -> list[Reading]:
        """Ask for everything at its time and read it to the end; readings in the same order.

        Several plays may run side by side on a server.

        Raises:
            PeerError: An answer broke off, is an error, or has another number of tokens.
        """

    @property
    def pid(self) -> int | None:
        """The server's process; None when it is this one."""
        return None


class Peer(abc.ABC):
    """How to start something that can be measured.

    Attributes:
        label: What tables call it.
        serves: Whether it is a server: answers may start at different times, have a schema, and
            come from a process of its own.
    """

    serves = True

    def __init__(self, label: str, arguments: Sequence[str] = ()) -> None:
        """Describe it; nothing starts.

        Args:
            label: What tables call it.
            arguments: What stood behind its name on the command line, in its own terms.
        """
        self.label = label
        self.arguments = tuple(arguments)

    def prepare(self, model: BenchModel, folder: Path) -> None:  # noqa: B027 -- some need none
        """Build, install and package what it needs; called once before anything is measured.

        Args:
            model: What it will serve.
            folder: For files of this run.
        """

    @abc.abstractmethod
    def session(self, serving: Serving, folder: Path) -> contextlib.AbstractContextManager[Session]:
        """Run it until the block ends; it answers at once when the block begins.

        Raises:
            PeerError: It does not start in time.
        """


class PeerError(Exception):
    """A peer could not be started or measured."""
