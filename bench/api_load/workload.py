"""The contract of a load: what is asked of a server, and what is measured."""

from __future__ import annotations

import abc
from pathlib import Path
from typing import ClassVar

from comparison.results import MetricRecord

MS = 1000.0
CHAT_PATH = "/v1/chat/completions"


class Load(abc.ABC):
    """Asks something of a server of its own, and gives figures."""

    name: ClassVar[str]
    summary: ClassVar[str]
    model: ClassVar[str] = "an engine that takes no time"
    metrics: ClassVar[tuple[MetricRecord, ...]]

    @abc.abstractmethod
    def measure(self, folder: Path) -> tuple[dict[str, float], float]:
        """Ask and measure once.

        Args:
            folder: An empty one.

        Returns:
            The figures by the metrics' names, and the share of a core that the client took.

        Raises:
            AnswerError: An answer is not what it should be.
        """


def metric(name: str, unit: str, *, more: bool = False) -> MetricRecord:
    """A figure that stands for itself."""
    return MetricRecord(name, unit, more_is_better=more, compared=False)
