"""The kit notices plugins that break their contract, and the right test of it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_seeded_fault_is_caught_by_exactly_its_tests() -> None:
    """Each plugin with a fault fails the tests that are about it, and passes all others."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "mutations.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=115,
        check=False,
    )
    lines = done.stdout.splitlines()

    assert 0 == done.returncode, done.stdout + done.stderr
    assert 60 <= sum(" caught by " in line for line in lines)
    assert {
        "BackendContract",
        "DialectContract",
        "EngineContract",
        "ParserContract",
        "PoolingContract",
        "StoreContract",
        "TextEngineContract",
        "TransportContract",
    } == {line.split()[0] for line in lines if " caught by " in line and line[0].isupper()}
