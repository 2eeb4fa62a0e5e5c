"""Finding plugins: the entry points of all installed distributions, before any is imported."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata

from stoker.hookspecs import ENTRY_POINT_GROUP
from stoker.plugin import Phase, Plugin, PluginFailureError, PluginStatus, Problem

_GROUP = re.compile(r"stoker\.v(?P<version>\d+)")
_MATCH = _GROUP.fullmatch(ENTRY_POINT_GROUP)
API_VERSION = int(_MATCH["version"]) if _MATCH else 0


def installed() -> Iterable[metadata.EntryPoint]:
    """The entry points of all plugins, those for another version of the API among them."""
    found = metadata.entry_points()
    groups = filter(_GROUP.fullmatch, found.groups)
    return [entry_point for group in groups for entry_point in found.select(group=group)]


def in_order(entry_points: Iterable[metadata.EntryPoint]) -> list[metadata.EntryPoint]:
    """Sort by name; of a plugin that is made for several versions of the API, take ours."""
    found = sorted(entry_points, key=_key)
    ours = {_key(item) for item in found if item.group == ENTRY_POINT_GROUP}
    others = {_key(item): item for item in found if _key(item) not in ours}
    return [
        item for item in found if item.group == ENTRY_POINT_GROUP or item is others.get(_key(item))
    ]


def _key(entry_point: metadata.EntryPoint) -> tuple[str, str]:
    return (entry_point.name, distribution_of(entry_point))


def distribution_of(entry_point: metadata.EntryPoint) -> str:
    """The name of the distribution that ships it; empty when it has none."""
    return entry_point.dist.name if entry_point.dist else ""


def distributions() -> dict[str, str]:
    """The distributions of all plugins, by their own names and those of their plugins.

    No plugin is imported for it, so it works whatever is wrong with them.
    """
    found: dict[str, str] = {}
    for entry_point in in_order(installed()):
        if name := distribution_of(entry_point):
            found[name] = name
            found.setdefault(entry_point.name, name)
    return found


def describe(entry_point: metadata.EntryPoint, status: PluginStatus) -> Plugin:
    """What is known of a plugin by its entry point alone."""
    return Plugin(
        name=entry_point.name,
        distribution=distribution_of(entry_point),
        version=entry_point.dist.version if entry_point.dist else "",
        module=entry_point.value,
        status=status,
    )


def check_version(entry_point: metadata.EntryPoint) -> None:
    """Refuse a plugin that is made for another version of the API.

    Raises:
        PluginFailureError: It is.
    """
    match = _GROUP.fullmatch(entry_point.group)
    version = int(match["version"]) if match else 0
    if version == API_VERSION:
        return
    distribution = distribution_of(entry_point) or entry_point.name
    newer = version > API_VERSION
    raise PluginFailureError(
        Problem(
            Phase.VERSION,
            f"it is made for version {version} of the plugin API, this stoker has {API_VERSION}",
            f"install a newer stoker, or an older {distribution}"
            if newer
            else f"look for a newer {distribution}: `stoker plugins install --upgrade"
            f" {distribution}`",
        )
    )
