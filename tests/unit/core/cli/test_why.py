"""The decision, explained."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_the_whole_decision(stoker, model: str) -> None:
    """Layers, bids, winner and rule are shown."""
    shown = stoker("why", model).out
    document = stoker("why", model, "--json").document

    assert "here, in store shelf" in shown
    assert "Chosen: faulty (the only available backend for the media type)\n" in shown
    assert document["local"] is True
    assert "faulty" == document["backend"]
    assert ["faulty"] == [bid["backend"] for bid in document["bids"]]
    assert "weights" == document["layers"][0]["role"]
    assert document["problem"] is None


def test_the_memory_plan(stoker, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The context that it will have and why, and its memory against the budget."""
    monkeypatch.setenv("STOKER_BACKENDS__FAULTY__NEED_BYTES", str(300 * 1024**2))
    monkeypatch.setenv("STOKER_MEMORY__BUDGET", "1 GiB")

    shown = stoker("why", model).out
    document = stoker("why", model, "--json").document

    assert "Context: 1000 tokens (all that the model was trained for)\n" in shown
    assert ["host", "300", "MiB"] == shown.splitlines()[-1].split()[:3]
    (device,) = document["memory"]["devices"]
    assert (300 * 1024**2, 1024**3) == (device["total_bytes"], device["budget_bytes"])


def test_a_model_that_does_not_fit(stoker, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan is shown with its numbers, and the problem is the exit code."""
    monkeypatch.setenv("STOKER_BACKENDS__FAULTY__NEED_BYTES", str(3 * 1024**3))
    monkeypatch.setenv("STOKER_MEMORY__BUDGET", "1 GiB")

    done = stoker("why", model)

    assert 6 == done.code
    assert "needs 3.0 GiB of memory" in done.err
    assert "3.0 GiB" in done.out


def test_a_model_that_is_not_here_is_looked_up(stoker, remote: Path) -> None:
    """It says that the model is not here, and decides all the same."""
    done = stoker("why", "ai/far")

    assert 0 == done.code
    assert "ai/far is not here" in done.err
    assert "not here; where `stoker pull` would take it from" in done.out
    assert stoker("why", "ai/far", "--json").document["local"] is False


def test_nobody_runs_it(stoker, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a backend the layers are still shown, and the problem is the exit code."""
    monkeypatch.setenv("STOKER_STORES__SHELF__MEDIA_TYPE", "application/vnd.example.odd")

    done = stoker("why", model)
    as_json = stoker("why", model, "--json")

    assert (2, 2) == (done.code, as_json.code)
    assert "application/vnd.example.odd" in done.out
    assert done.out.endswith("Chosen: none\n")
    assert as_json.document["problem"] in done.err


def test_a_pin_that_cannot_be(stoker, model: str) -> None:
    """A pinned backend that is not installed is a problem, not a fall-back."""
    done = stoker("why", model, "--backend", "absent")

    assert 6 == done.code
    assert "pinned to backend 'absent', which is not installed" in done.err


def test_nowhere(stoker, remote: Path) -> None:
    """A model that no one has is not found."""

    assert 3 == stoker("why", "ai/none").code
