"""Distributions that look installed: a dist-info folder and modules, on a path that is searched."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path


def fake_distribution(
    folder: Path,
    name: str,
    plugins: Mapping[str, str],
    *,
    version: str = "1.0",
    group: str = "stoker.v1",
    requires: tuple[str, ...] = (),
) -> Path:
    """Write a distribution into a folder.

    Args:
        folder: Where; somebody has to put it on the path.
        name: The distribution's name.
        plugins: The source of the module of each plugin, by the plugin's name.
        version: The distribution's version.
        group: Of the entry points.
        requires: What its metadata says that it needs.

    Returns:
        The folder.
    """
    module = name.replace("-", "_")
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {item}" for item in requires]
    (info / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    entry_points = [f"[{group}]"]
    for plugin, source in plugins.items():
        # A name that no test before has imported, or is still importing.
        name = f"{module}_{uuid.uuid4().hex}"
        entry_points.append(f"{plugin} = {name}")
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
    (info / "entry_points.txt").write_text("\n".join(entry_points) + "\n", encoding="utf-8")
    return folder
