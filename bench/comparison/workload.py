"""The contract of a workload: what is asked, and what is measured."""

from __future__ import annotations

import abc
import math
import statistics
from collections.abc import Iterable
from typing import ClassVar

import attrs

from comparison.peer import Session


@attrs.frozen
class Metric:
    """A figure of a workload."""

    name: str
    unit: str
    more_is_better: bool = False
    compared: bool = True
    """Whether its ratio to another peer's says something; not that of a loss in percent."""


class Workload(abc.ABC):
    """Asks the same of every peer, and gives figures."""

    name: ClassVar[str]
    summary: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]]
    streams: ClassVar[int] = 1
    """How many answers the peers are told to run side by side."""
    context_length: ClassVar[int] = 1024
    """How many tokens of a stream the peers are told to have room for."""
    for_bare: ClassVar[bool] = False
    """Whether all its requests are alike and come at once, so that the bare loop can do it."""
    starts_anew: ClassVar[bool] = False
    """Whether each round has a new process; else one serves all rounds, after a warm-up."""
    usual_peers: ClassVar[tuple[str, ...]] = ("llama-server", "stoker")
    """Who takes part when nobody is named."""

    @abc.abstractmethod
    async def measure(self, session: Session, round_: int) -> dict[str, float]:
        """Ask and measure once.

        Args:
            session: The peer.
            round_: Prompts differ from round to round, so that nothing of an earlier one helps.

        Returns:
            The figures by the metrics' names.

        Raises:
            PeerError: The peer failed.
        """


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that so large a share of the values does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def median(values: Iterable[float]) -> float:
    """The median, in the short form that workloads need."""
    return statistics.median(values)
