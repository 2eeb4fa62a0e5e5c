"""The running `stoker serve` of this home, as commands ask it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stoker.control.client import ControlClient

if TYPE_CHECKING:
    from stoker.application import Application
    from stoker.host import RunnerStatus


def loaded_models(application: Application) -> Sequence[RunnerStatus]:
    """What the server has loaded; empty without a server.

    Raises:
        UnavailableError: There is a server, but it does not answer.
    """
    return find_loaded_models(application) or ()


def find_loaded_models(application: Application) -> Sequence[RunnerStatus] | None:
    """What the server has loaded; None when there is no server.

    Raises:
        UnavailableError: There is a server, but it does not answer.
    """

    async def ask() -> Sequence[RunnerStatus] | None:
        client = ControlClient(application.settings.home)
        if not await client.is_served():
            return None
        return (await client.status()).runners

    return asyncio.run(ask())


def unload(application: Application, name: str) -> bool:
    """Have the server unload a model; False when it was not loaded.

    Raises:
        StokerError: There is no server, or it could not do it.
    """
    return asyncio.run(ControlClient(application.settings.home).unload(name))
