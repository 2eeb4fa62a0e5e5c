"""Memory that was freed."""

from __future__ import annotations

import platform

import psutil
import pytest

from stoker.memory.release import give_back

MIB = 1024 * 1024


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep little")
def test_memory_that_was_freed_goes_back_to_the_machine() -> None:
    """The C library keeps what lies below something that is still used."""
    process = psutil.Process()
    blocks = [bytearray(1024) for _ in range(64 * 1024)]
    last = bytearray(1024)
    del blocks
    kept_bytes = process.memory_info().rss

    give_back()

    assert last
    assert kept_bytes - process.memory_info().rss > 32 * MIB
