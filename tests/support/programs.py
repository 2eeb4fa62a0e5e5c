"""Programs that tests need."""

from __future__ import annotations

import os
import shutil

import pytest


def need(binary: str) -> str:
    """The path of a program; without it the test is skipped, or fails where CI demands it."""
    path = shutil.which(binary)
    if path is None:
        message = f"{binary} is not installed: apt-get install docker-registry openssl skopeo"
        if os.environ.get("STOKER_REQUIRE_REGISTRY") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return path
