"""Admission: models that are to be loaded get their part of the memory budget, one after another.

Runs on the event loop, and holds nothing across an await but a place in the line.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from stoker.errors import OverloadedError
from stoker.supervisor.eviction import choose_victims, fits, in_order
from stoker.supervisor.resident import Resident

_log = logging.getLogger(__name__)

RETRY_AFTER_S = 5.0
"""What a client is told to wait when all memory is busy."""


class Admission:
    """The line for memory: by priority, then by arrival.

    Only the first one in the line is served, so a large model is not starved by small ones.

    Attributes:
        wait_timeout_s: How long one may wait for its turn and for memory; may be replaced.
    """

    def __init__(
        self,
        residents: Callable[[], Iterable[Resident]],
        evict: Callable[[Resident], None],
        *,
        wait_timeout_s: float,
    ) -> None:
        """Make an empty line.

        Args:
            residents: All residents, also those that hold no memory.
            evict: Begins to unload one; `Resident.gone` and `wake` tell the end.
            wait_timeout_s: How long one may wait for its turn and for memory.
        """
        self._residents = residents
        self._evict = evict
        self.wait_timeout_s = wait_timeout_s
        self._line: list[Resident] = []
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Look again: a model has left, or has become idle."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def admit(self, resident: Resident) -> None:
        """Give a resident its memory, when it is its turn and there is enough.

        Raises:
            InsufficientMemoryError: There is never enough.
            OverloadedError: Busy models had it for too long.
        """
        resident.plan.memory.require(resident.name)
        if not self._line and fits(resident, self._holders()):
            resident.holds_memory = True
            return
        self._line.append(resident)
        self._line.sort(key=lambda waiting: -waiting.priority)
        resident.report("waiting for memory", None)
        try:
            async with asyncio.timeout(self.wait_timeout_s):
                while not self._serve(resident):
                    await self._changed.wait()
        except TimeoutError:
            raise OverloadedError(
                f"{resident.name} waited {self.wait_timeout_s:g} s for memory that busy or pinned"
                " models have (`stoker ps` shows them): try again later.",
                retry_after_s=RETRY_AFTER_S,
            ) from None
        finally:
            self._line.remove(resident)
            self.wake()

    async def make_room(self, resident: Resident) -> bool:
        """Evict idle models because a load ran out of memory, whatever the estimates say.

        Returns:
            Whether there were any.
        """
        now_s = asyncio.get_running_loop().time()
        victims: list[Resident] = []
        wanted = sum(need.total_bytes for need in resident.plan.memory.needs)
        for victim in in_order(self._holders(), now_s):
            if victims and wanted <= 0:
                break
            victims.append(victim)
            wanted -= sum(need.total_bytes for need in victim.plan.memory.needs)
        for victim in victims:
            _log.info("Unloading %s: %s ran out of memory", victim.name, resident.name)
            self._evict(victim)
        for victim in victims:
            await victim.gone.wait()
        return bool(victims)

    def _holders(self) -> list[Resident]:
        return [resident for resident in self._residents() if resident.holds_memory]

    def _serve(self, resident: Resident) -> bool:
        """Whether it was this one's turn and there was memory; evicts others where that helps."""
        if self._line[0] is not resident:
            return False
        holders = self._holders()
        if fits(resident, holders):
            resident.holds_memory = True
            return True
        victims = choose_victims(resident, holders, asyncio.get_running_loop().time())
        for victim in victims or ():
            _log.info("Unloading %s: %s needs its memory", victim.name, resident.name)
            self._evict(victim)
        return False
