"""What tests of several folders share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from slow_tests import (
    pytest_addoption,  # noqa: F401 - hooks that pytest looks for here
    pytest_collection_modifyitems,  # noqa: F401
    pytest_configure,  # noqa: F401
    pytest_terminal_summary,  # noqa: F401
)

ROOT = Path(__file__).parents[1]

# Shells start what runs in the background with Ctrl-C ignored, and children inherit that: the
# commands that tests interrupt would never notice.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _model(variable: str, name: str) -> Path:
    path = Path(os.environ.get(variable, ROOT / ".cache" / "models" / name))
    if not path.is_file():
        pytest.fail(f"{path} is missing: `make test` fetches it, {variable} names another")
    return path


@pytest.fixture(scope="session")
def thorough(pytestconfig: pytest.Config) -> bool:
    """Whether time does not matter: tests may repeat what they do as often as is worth it."""
    return bool(pytestconfig.option.all)


@pytest.fixture(scope="session")
def model_file() -> Path:
    """The real model: SmolLM2-135M-Instruct in Q4_1, 98 MB."""
    return _model("STOKER_TEST_MODEL", "SmolLM2-135M-Instruct.Q4_1.gguf")


@pytest.fixture(scope="session")
def embedder_file() -> Path:
    """The real model for embeddings: all-MiniLM-L6-v2 in F16, 46 MB."""
    return _model("STOKER_TEST_EMBEDDER", "all-minilm-l6-v2.F16.gguf")


@pytest.fixture(scope="session")
def gemma_file() -> Path:
    """The real model with a sliding window and many tokens: Gemma 3 270M in Q4_K_M, 253 MB."""
    return _model("STOKER_TEST_GEMMA", "gemma3-270m.Q4_K_M.gguf")
