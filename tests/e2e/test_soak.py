"""The soak of `bench/soak.py`, in short."""

from __future__ import annotations

from pathlib import Path

import pytest
from soaking import BUDGET_BYTES, MIB, TEXTS, Soak, make_home


@pytest.mark.slow
async def test_many_clients_on_more_models_than_fit(tmp_path: Path) -> None:
    """No answer is lost or mixed up, nothing hangs or grows, memory stays within the budget."""
    home = make_home(tmp_path)
    with home.serve() as server:
        report = await Soak(server, clients=8, seed=7).run(15.0)

    assert [] == report.wrong
    assert {"answered", "streamed", "left", "refused"} <= set(report.outcomes)
    assert len(TEXTS) * 64 > BUDGET_BYTES / MIB / 2 < report.most_mib
    assert report.early is not None
    assert report.late is not None
    assert 0 == report.late.children
    assert [] == report.late.growth(report.early)
