"""The soak of `bench/soak.py`, in short."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_mlx
from judges import LlamaCppJudge, MlxJudge
from scored_soak import ScoredSoak, make_real_home
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


@pytest.mark.slow
@pytest.mark.parametrize("engine", [pytest.param("llama.cpp", marks=pytest.mark.model), "mlx"])
async def test_answers_of_a_real_model_are_right(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Whatever else clients do, each token of each answer is the best one for its prompt."""
    on_mlx = engine == "mlx"
    model = tiny_mlx.llama(tmp_path / "m") if on_mlx else request.getfixturevalue("model_file")
    judge = MlxJudge(model) if on_mlx else LlamaCppJudge(model)
    with make_real_home(tmp_path, model).serve() as server:
        soak = ScoredSoak(server, judge, clients=6, seed=7)
        report = await soak.run(10.0)

    assert soak.score() > 5
    assert [] == report.wrong
    assert {"answered", "left"} <= set(report.outcomes)
