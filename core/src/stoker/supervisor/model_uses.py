"""The uses of loaded models: no store loses the files of a model that a runner has."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator

from stoker.artifact import Artifact
from stoker.stores import Stores


class ModelUse:
    """The use of one model: until its load fails, or else until its runner has ended."""

    def __init__(self, tasks: set[asyncio.Task[None]]) -> None:
        self.stack = contextlib.ExitStack()
        self._tasks = tasks

    def last_until(self, ended: asyncio.Event) -> None:
        """Let the use go on until the event is set."""
        task = asyncio.create_task(_close_after(ended, self.stack.pop_all()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class ModelUses:
    """All uses of a supervisor. On the event loop only; stores are asked in worker threads."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def begin(self, artifact: Artifact) -> AsyncGenerator[ModelUse, None]:
        """Use a model while the block runs, or longer (`ModelUse.last_until`).

        Raises:
            ModelNotFoundError: It is not here any more.
        """
        use = ModelUse(self._tasks)
        user = f"stoker, process {os.getpid()}"

        def enter() -> None:
            use.stack.enter_context(self._stores.of(artifact.reference).use(artifact, user))

        entering = asyncio.ensure_future(asyncio.to_thread(enter))
        try:
            await asyncio.shield(entering)
            yield use
        finally:
            # A load that was given up meanwhile: the thread still comes to its end.
            await asyncio.wait([entering])
            use.stack.close()

    async def close(self) -> None:
        """Wait for the end of all uses; the runners have ended."""
        await asyncio.gather(*self._tasks)


async def _close_after(ended: asyncio.Event, stack: contextlib.ExitStack) -> None:
    with stack:
        await ended.wait()
