"""The running `stoker serve` of this home, as commands ask it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from stoker.control.client import ControlClient, ServerStatus
from stoker.host import LogLines


def find_server(home: Path) -> ServerStatus | None:
    """What the server is and has loaded; None when there is no server.

    Raises:
        UnavailableError: There is a server, but it does not answer.
    """

    async def ask() -> ServerStatus | None:
        client = ControlClient(home)
        return await client.status() if await client.is_served() else None

    return asyncio.run(ask())


def engine_log(home: Path, name: str, after: int) -> LogLines:
    """What a model's engine printed in the server, from a line on.

    Raises:
        StokerError: There is no server, or it could not say.
    """
    return asyncio.run(ControlClient(home).log(name, after))


def reload(home: Path) -> tuple[Sequence[str], Sequence[str]]:
    """Have the server read its configuration again.

    Returns:
        The keys that have changed, and those that will only after a restart.

    Raises:
        StokerError: There is no server, or the configuration is wrong.
    """
    return asyncio.run(ControlClient(home).reload())


def unload(home: Path, name: str) -> bool:
    """Have the server unload a model; False when it was not loaded.

    Raises:
        StokerError: There is no server, or it could not do it.
    """
    return asyncio.run(ControlClient(home).unload(name))
