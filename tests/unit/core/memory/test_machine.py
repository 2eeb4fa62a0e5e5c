from __future__ import annotations

import os
from pathlib import Path

import pytest

from stoker.memory.machine import host_memory_bytes

MIB = 1024 * 1024
ALL = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("membership", "limits", "expected"),
    [
        ("", {}, ALL),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": str(64 * MIB)}, 64 * MIB),
        ("0::/outside/of/the/container\n", {"memory.max": str(96 * MIB)}, 96 * MIB),
        (
            "5:devices:/x\n4:memory:/a/b\n0::/\n",
            {
                "memory/a/b/memory.limit_in_bytes": "9223372036854771712",
                "memory/a/memory.limit_in_bytes": str(32 * MIB),
            },
            32 * MIB,
        ),
        ("0::/a\n", {"a/memory.max": "nonsense"}, ALL),
    ],
)
def test_the_tightest_limit_counts(
    tmp_path: Path, membership: str, limits: dict[str, str], expected: int
) -> None:
    """The machine's memory, and the limits of all control groups around, of both versions."""
    (tmp_path / "membership").write_text(membership)
    for name, text in limits.items():
        path = tmp_path / "cgroups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    found = host_memory_bytes(cgroups=tmp_path / "cgroups", membership=tmp_path / "membership")

    assert expected == found


def test_this_machine() -> None:
    """Whatever this machine is, it has some memory, and not more than all."""

    assert 0 < host_memory_bytes() <= ALL
