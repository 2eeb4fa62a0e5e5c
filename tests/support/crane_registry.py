"""The registry within Google's `crane`: a second implementation, with quirks of its own.

It answers no open-ended ranges, takes a chunk with 204 and tells nothing of an upload that was cut.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from debian_registry import free_port, running


@contextlib.contextmanager
def crane_registry(binary: str, folder: Path) -> Iterator[str]:
    """Run it on a free loopback port; yields its `host:port`.

    Args:
        binary: The path of `crane`.
        folder: Where it keeps everything.

    Raises:
        RegistryDidNotStartError: It ended at once.
    """
    host = f"127.0.0.1:{free_port()}"
    command = [binary, "registry", "serve", "--address", host, "--disk", str(folder / "data")]
    (folder / "data").mkdir()
    with running(command, f"http://{host}", folder / "log"):
        yield host
