"""Eviction: whether a model fits beside others, and which of them go first when it does not."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from stoker.digest import Digest
from stoker.supervisor.resident import Resident

_LEAST_IDLE_S = 0.001


def used_bytes(residents: Iterable[Resident]) -> dict[str, int]:
    """What models take together, by device; mapped files that several of them map count once."""
    own: dict[str, int] = {}
    mapped: dict[tuple[str, Digest], int] = {}
    for resident in residents:
        for need in resident.plan.memory.needs:
            own[need.device] = own.get(need.device, 0) + need.own_bytes
            file = need.device, resident.plan.artifact.digest
            mapped[file] = max(mapped.get(file, 0), need.mapped_bytes)
    for (device, _), size_bytes in mapped.items():
        own[device] += size_bytes
    return own


def fits(wanted: Resident, holders: Iterable[Resident]) -> bool:
    """Whether a model can be loaded beside others."""
    used = used_bytes([wanted, *holders])
    limits = {
        need.device: wanted.plan.memory.budget.limit(need.device)
        for need in wanted.plan.memory.needs
    }
    return all(limit is None or used[device] <= limit for device, limit in limits.items())


def in_order(residents: Iterable[Resident], now_s: float) -> list[Resident]:
    """Those that may be evicted, the least valuable first.

    A smaller priority goes first; then a longer idle time for each second that loading it again
    would take.
    """

    def value(resident: Resident) -> tuple[int, float]:
        idle_s = max(now_s - resident.idle_since_s, _LEAST_IDLE_S)
        return resident.priority, resident.loading_s / idle_s

    return sorted((item for item in residents if item.evictable), key=value)


def choose_victims(
    wanted: Resident, holders: Collection[Resident], now_s: float
) -> list[Resident] | None:
    """Whom to evict so that a model fits.

    Args:
        wanted: The model.
        holders: All that hold memory. Those that leave already are counted as gone.
        now_s: The event loop's time.

    Returns:
        The victims: none when it fits as soon as those that leave have left. None when it does not
        fit until a busy or pinned one leaves; evicting others would not help then.
    """
    staying = [holder for holder in holders if not holder.unloading]
    victims: list[Resident] = []
    candidates = in_order(staying, now_s)
    while not fits(wanted, _without(staying, victims)):
        if not candidates:
            return None
        victims.append(candidates.pop(0))
    # The last one may be so large that the ones before it need not go.
    for victim in reversed(victims.copy()):
        spared = [other for other in victims if other is not victim]
        if fits(wanted, _without(staying, spared)):
            victims = spared
    return victims


def _without(residents: Iterable[Resident], gone: Collection[Resident]) -> list[Resident]:
    return [resident for resident in residents if resident not in gone]
