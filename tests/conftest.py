"""What tests of several folders share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Shells start what runs in the background with Ctrl-C ignored, and children inherit that: the
# commands that tests interrupt would never notice.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def model_file() -> Path:
    """The real model: SmolLM2-135M-Instruct in Q4_1, 98 MB."""
    default = ROOT / ".cache" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    path = Path(os.environ.get("STOKER_TEST_MODEL", default))
    if not path.is_file():
        pytest.fail(f"{path} is missing: `make test` fetches it, STOKER_TEST_MODEL names another")
    return path
