"""Measuring in turns: every round has all peers in it, so that a slow minute hits all of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from comparison.generation import Arrival, Generation
from comparison.peer import Peer, PeerError, Serving, Session
from comparison.processor import ProcessorTime
from comparison.results import MetricRecord, WorkloadRecord
from comparison.workload import Workload

Say = Callable[[str], None]
ATTEMPTS = 3
QUIET = 0.1
"""What other programs may take of a core. Threads that wait for each other in every layer of the
model, as these do, lose far more to a disturbance than the time that it took."""


class Rounds:
    """One workload with its peers."""

    def __init__(
        self,
        workload: Workload,
        peers: Sequence[Peer],
        serving: Serving,
        *,
        quiet: float = QUIET,
    ) -> None:
        """Nothing starts yet.

        Args:
            workload: What is measured.
            peers: Who takes part, in this order. Those that cannot do it are left out.
            serving: What all are told.
            quiet: What other programs may take of a core without a round being repeated.
        """
        self._workload = workload
        self._peers = [
            peer
            for peer in peers
            if peer.serves or (workload.for_bare and not workload.starts_anew)
        ]
        self._serving = serving
        self._quiet = quiet
        self._figures: dict[str, list[dict[str, float]]] = {peer.label: [] for peer in peers}
        self._failures: dict[str, str] = {}
        self._client_share = 0.0
        self._foreign_share = 0.0

    def run(self, rounds: int, folder: Path, say: Say) -> WorkloadRecord:
        """Measure. A peer that fails is left out from then on, and the record says why."""
        with contextlib.ExitStack() as sessions:
            running: dict[str, Session] = {}
            if not self._workload.starts_anew:
                for peer in self._peers:
                    with self._catching(peer, say):
                        session = peer.session(self._serving, folder)
                        running[peer.label] = sessions.enter_context(session)
                        asyncio.run(_warm_up(running[peer.label]))
            for round_ in range(1, rounds + 1):
                for peer in self._peers:
                    if peer.label in self._failures:
                        continue
                    with self._catching(peer, say), contextlib.ExitStack() as fresh:
                        session_ = running.get(peer.label) or fresh.enter_context(
                            peer.session(self._serving, folder)
                        )
                        self._measure(peer, session_, round_, say)
                        say(self._line(peer, round_))
        return WorkloadRecord(
            name=self._workload.name,
            summary=self._workload.summary,
            model=self._serving.model.name,
            metrics=[
                MetricRecord(m.name, m.unit, m.more_is_better, m.compared)
                for m in self._workload.metrics
            ],
            figures={label: rows for label, rows in self._figures.items() if rows},
            failures=self._failures,
            client_share=round(self._client_share, 3),
            foreign_share=round(self._foreign_share, 3),
        )

    def _measure(self, peer: Peer, session: Session, round_: int, say: Say) -> None:
        """Measure; again when other programs disturbed it, and keep the quietest."""
        best: tuple[float, dict[str, float]] | None = None
        for attempt in range(ATTEMPTS):
            # Other prompts in each attempt: those of the last one are known.
            number = round_ + 100 * attempt
            start = ProcessorTime.now()
            figures = asyncio.run(self._workload.measure(session, number))
            end = ProcessorTime.now()
            if peer.serves:
                self._client_share = max(self._client_share, end.client_share(start))
            foreign = end.foreign_share(start)
            best = min(best or (foreign, figures), (foreign, figures), key=lambda pair: pair[0])
            if foreign <= self._quiet or self._workload.starts_anew:
                break
            say(f"{peer.label}: other programs took {foreign:.0%} of a core")
        assert best is not None
        self._foreign_share = max(self._foreign_share, best[0])
        self._figures[peer.label].append(best[1])

    def _line(self, peer: Peer, round_: int) -> str:
        figures = self._figures[peer.label][-1]
        shown = ", ".join(
            f"{metric.name} {figures[metric.name]:.4g} {metric.unit}"
            for metric in self._workload.metrics
        )
        return f"{self._workload.name} {round_}, {peer.label}: {shown}"

    @contextlib.contextmanager
    def _catching(self, peer: Peer, say: Say) -> Iterator[None]:
        try:
            yield
        except PeerError as exc:
            self._failures[peer.label] = str(exc)
            say(f"{self._workload.name}, {peer.label} failed: {exc}")


async def _warm_up(session: Session) -> None:
    """Load the model, and touch its memory."""
    await session.play([Arrival(Generation("A warm day begins with", 8))])
