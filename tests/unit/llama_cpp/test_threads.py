"""How many threads are sensible."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stoker_llama_cpp import threads


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four logical processors on two cores."""
    for cpu in range(4):
        siblings = tmp_path / f"cpu{cpu}" / "topology" / "thread_siblings_list"
        siblings.parent.mkdir(parents=True)
        siblings.write_text(f"{cpu % 2},{cpu % 2 + 2}\n")
    monkeypatch.setattr(threads, "_CPUS", tmp_path)
    monkeypatch.setattr(threads, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    return tmp_path


def test_one_thread_per_core(machine: Path) -> None:
    """Two logical processors of one core count once."""

    assert 2 == threads.sensible_threads()


def test_affinity_counts(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only processors that the process may use count."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 3}, raising=False)

    assert 1 == threads.sensible_threads()


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 2), ("100000 100000", 1), ("50000 100000", 1), ("900000 100000", 2)],
)
def test_a_containers_share_counts(machine: Path, quota: str, expected: int) -> None:
    """A container that is given less processor time gets fewer threads, but one at least."""
    (machine / "cpu.max").write_text(quota)

    assert expected == threads.sensible_threads()


def test_unknown_cores_are_cores(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system does not tell cores, every processor is one."""
    monkeypatch.setattr(threads, "_CPUS", machine / "missing")

    assert 4 == threads.sensible_threads()


def test_without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS and Windows half of the logical processors are taken."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 10)

    assert 5 == threads.sensible_threads()
