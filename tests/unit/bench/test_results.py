"""What is made of the figures."""

from __future__ import annotations

import msgspec
import pytest
from comparison.chart import overview
from comparison.page import page
from comparison.peer import PeerError
from comparison.peer_list import make_peers
from comparison.results import MetricRecord, RunRecord, WorkloadRecord, ratios, spread
from comparison.workload import percentile

RECORD = WorkloadRecord(
    name="single",
    summary="one stream",
    model="smollm2",
    metrics=[
        MetricRecord("first token", "ms", more_is_better=False, compared=True),
        MetricRecord("loss", "%", more_is_better=False, compared=False),
    ],
    figures={
        "llama-server": [{"first token": 10.0, "loss": 1.0}, {"first token": 20.0, "loss": 2.0}],
        "stoker": [{"first token": 5.0, "loss": 3.0}, {"first token": 15.0, "loss": 4.0}],
    },
    failures={"other": "it ended\nwith much to say"},
    client_share=0.0123,
    foreign_share=0.04,
)
RUN = RunRecord(
    started="2026-01-01 00:00 UTC",
    command="make bench NAME=compare",
    processor="A processor",
    cores=2,
    memory_gib=4.0,
    threads=2,
    base="llama-server",
    versions={"stoker": "1"},
    workloads=[RECORD],
)


def test_ratios_are_taken_round_by_round() -> None:
    """A slow round slows both, so it does not show in the ratio."""

    assert [0.5, 0.75] == ratios(RECORD, "first token", "stoker", "llama-server")


def test_a_peer_without_figures_has_no_ratio() -> None:
    """It failed before the first round, or was not asked."""

    assert [] == ratios(RECORD, "first token", "other", "llama-server")


@pytest.mark.parametrize(
    ("values", "expected"), [([], "-"), ([2.0], "2.0"), ([3.0, 1.0, 2.0], "2.0 (1.0 to 3.0)")]
)
def test_a_spread_is_the_median_and_the_range(values: list[float], expected: str) -> None:
    """One value has no range."""

    assert expected == spread(values, ".1f")


@pytest.mark.parametrize(("share", "expected"), [(0.5, 2), (0.95, 4), (0.0, 1)])
def test_a_percentile_is_one_of_the_values(share: float, expected: float) -> None:
    """Nothing is interpolated."""

    assert expected == percentile([4, 1, 3, 2], share)


def test_the_page_has_the_figures_and_the_command() -> None:
    """Whoever doubts a figure can measure it again."""

    text = page([RUN])

    assert "    make bench NAME=compare\n" in text
    assert "| first token, ms | stoker | 10 (5 to 15) | 0.62 (0.50 to 0.75) |" in text
    assert "| loss, % | stoker | 3.5 (3 to 4) |  |" in text
    assert "other failed: it ended\n" in text


def test_a_run_is_read_as_it_was_written() -> None:
    """Results are kept as files."""

    assert RUN == msgspec.json.decode(msgspec.json.encode(RUN), type=RunRecord)


def test_the_picture_shows_where_less_is_better_as_more() -> None:
    """Half the time to the first token is twice as good."""

    picture = overview([RUN]).decode()

    assert "<svg" in picture
    assert "1.60" in picture


def test_an_unknown_peer_is_refused() -> None:
    """The error lists those that there are."""

    with pytest.raises(PeerError, match=r"no peer 'llama-sever'; there are: llama-server"):
        make_peers(["llama-sever"], {})
