"""What tests of several folders share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def model_file() -> Path:
    """The real model: SmolLM2-135M-Instruct in Q4_1, 98 MB."""
    default = ROOT / ".cache" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    path = Path(os.environ.get("STOKER_TEST_MODEL", default))
    if not path.is_file():
        pytest.fail(f"{path} is missing: `make test` fetches it, STOKER_TEST_MODEL names another")
    return path
