"""Measuring in turns."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from comparison.generation import Arrival, Reading
from comparison.model import BenchModel
from comparison.peer import Peer, PeerError, Serving, Session
from comparison.results import WorkloadRecord
from comparison.rounds import ATTEMPTS, Rounds
from comparison.workload import Metric, Workload

ANY = float("inf")
SERVING = Serving(BenchModel("smollm2"), streams=1, context_length=64, threads=1)


class Answering(Session):
    """Answers everything with one token."""

    def __init__(self, label: str) -> None:
        self.label = label

    async def play(self, arrivals: Sequence[Arrival]) -> list[Reading]:
        return [Reading(0.0, (1.0,), self.label, 1, "length") for _ in arrivals]


class Fake(Peer):
    """Starts at once."""

    @contextlib.contextmanager
    def session(self, serving: Serving, folder: Path) -> Iterator[Session]:
        yield Answering(self.label)


class Bare(Fake):
    """Is no server."""

    serves = False


class Turns(Workload):
    """Notes whose turn it was; the peer `ill` fails in its second one."""

    name = "turns"
    summary = "turns"
    metrics = (Metric("turn", "1"),)

    def __init__(self) -> None:
        self.turns: list[tuple[int, str]] = []

    async def measure(self, session: Session, round_: int) -> dict[str, float]:
        assert isinstance(session, Answering)
        self.turns.append((round_, session.label))
        if session.label == "ill" and round_ == 2:
            raise PeerError("it has a cold")
        return {"turn": float(len(self.turns))}


def run(
    workload: Workload, peers: list[Peer], folder: Path, *, rounds: int, quiet: float = ANY
) -> WorkloadRecord:
    """Run, on a machine that may be busy."""
    return Rounds(workload, peers, SERVING, quiet=quiet).run(rounds, folder, lambda text: None)


def test_every_round_has_all_peers_in_it(tmp_path: Path) -> None:
    """The peers take turns in their order."""

    workload = Turns()

    record = run(workload, [Fake("a"), Fake("b")], tmp_path, rounds=2)

    assert [(1, "a"), (1, "b"), (2, "a"), (2, "b")] == workload.turns
    assert {"a": [{"turn": 1.0}, {"turn": 3.0}], "b": [{"turn": 2.0}, {"turn": 4.0}]} == (
        record.figures
    )


def test_a_peer_that_fails_is_left_out_from_then_on(tmp_path: Path) -> None:
    """The others go on, and the record says what happened."""

    workload = Turns()

    record = run(workload, [Fake("ill"), Fake("b")], tmp_path, rounds=3)

    assert {"ill": "it has a cold"} == record.failures
    assert [1, 3] == [len(record.figures["ill"]), len(record.figures["b"])]


def test_the_bare_loop_is_left_out_where_a_server_is_needed(tmp_path: Path) -> None:
    """A peer that is no server only takes part in workloads that are made for it."""

    record = run(Turns(), [Bare("bare"), Fake("b")], tmp_path, rounds=1)

    assert ["b"] == list(record.figures)


def test_a_disturbed_round_is_measured_again(tmp_path: Path) -> None:
    """Each attempt has other prompts, and only one of them is kept."""

    workload = Turns()

    record = run(workload, [Fake("a")], tmp_path, rounds=1, quiet=-1.0)

    assert ATTEMPTS == len({number for number, _ in workload.turns})
    assert 1 == len(record.figures["a"])
