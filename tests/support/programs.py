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


def want(binary: str, where: str) -> str:
    """The path of a program that few systems have; without it the test is skipped.

    Args:
        binary: The program.
        where: Who has it, for people.
    """
    path = shutil.which(binary)
    if path is None:
        pytest.skip(f"{binary} is not installed (a package of {where})")
    return path


def want_oras() -> str:
    """The path of the oras tool; without it the test is skipped."""
    return want("oras", "Debian 13 and later")
