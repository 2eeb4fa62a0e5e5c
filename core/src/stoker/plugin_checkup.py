"""The check-up of the plugins: everything that is wrong with them, and what to do about it."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from importlib import metadata

import attrs
from packaging.requirements import InvalidRequirement, Requirement

from stoker.backend import BackendSpec, availability_of
from stoker.config import Settings
from stoker.plugin import Plugin, PluginStatus
from stoker.plugins import PluginManager
from stoker.store import StoreSpec
from stoker.transport import TransportSpec

SLOW_IMPORT_MS = 250.0
"""Everybody waits for the import of every plugin, in every command."""


class Severity(enum.StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """A plugin does not work."""
    WARNING = "warning"
    """Something does not work as somebody may expect."""
    NOTE = "note"
    """As it was wished."""


@attrs.frozen
class Finding:
    """Something that a user may want to know."""

    subject: str
    """The plugin's name, or the setting."""
    severity: Severity
    summary: str
    remedy: str


def check_up(plugins: PluginManager, settings: Settings) -> tuple[Finding, ...]:
    """Look for everything that is wrong, the worst first."""
    found = [
        *_loading(plugins.plugins),
        *_requirements(plugins.plugins),
        *_availability(plugins),
        *_unknown_names(plugins.plugins, settings),
    ]
    order = list(Severity)
    return tuple(sorted(found, key=lambda item: (order.index(item.severity), item.subject)))


def _loading(plugins: Iterable[Plugin]) -> Iterator[Finding]:
    for plugin in plugins:
        if plugin.problem is not None:
            summary = f"failed ({plugin.problem.phase}): {' '.join(plugin.problem.summary.split())}"
            yield Finding(plugin.name, Severity.ERROR, summary, plugin.problem.remedy)
        elif plugin.status is PluginStatus.BLOCKED:
            yield Finding(
                plugin.name,
                Severity.NOTE,
                f"is left out: {plugin.blocked_by}",
                "change that setting if you want it",
            )
        elif plugin.import_ms > SLOW_IMPORT_MS:
            yield Finding(
                plugin.name,
                Severity.WARNING,
                f"takes {plugin.import_ms:.0f} ms to import, in every command",
                "tell its author: a plugin module imports its engine in its factories only",
            )


def _requirements(plugins: Iterable[Plugin]) -> Iterator[Finding]:
    """What the distributions need and do not have, as `pip check` would say."""
    distributions = {plugin.distribution: plugin for plugin in plugins if plugin.distribution}
    for name, plugin in distributions.items():
        for requirement in _required_by(name):
            problem = _missing(requirement)
            if problem:
                yield Finding(
                    plugin.name,
                    Severity.ERROR,
                    f"{name} needs {requirement.name}{requirement.specifier}, {problem}",
                    f"`stoker plugins install --upgrade {name}`",
                )


def _required_by(distribution: str) -> Iterator[Requirement]:
    """The requirements that count here; extras are nobody's need."""
    try:
        lines = metadata.requires(distribution) or ()
    except metadata.PackageNotFoundError:
        return
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def _missing(requirement: Requirement) -> str:
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return "which is not installed"
    fits = requirement.specifier.contains(version, prereleases=True)
    return "" if fits else f"and {version} is installed"


def _availability(plugins: PluginManager) -> Iterator[Finding]:
    specs: list[BackendSpec | StoreSpec | TransportSpec] = [
        *plugins.backends.values(),
        *plugins.stores.values(),
        *plugins.transports.values(),
    ]
    for spec in specs:
        availability = availability_of(spec)
        if not availability.available:
            kind = type(spec).__name__.removesuffix("Spec").lower()
            yield Finding(
                plugins.provider(spec).name,
                Severity.WARNING,
                f"{kind} {spec.name} cannot work here",
                availability.reason,
            )


def _unknown_names(plugins: Iterable[Plugin], settings: Settings) -> Iterator[Finding]:
    known = {plugin.name for plugin in plugins}
    config = settings.config.plugins
    for key, names in (("allow", config.allow or ()), ("block", config.block)):
        for name in sorted(set(names) - known):
            yield Finding(
                f"plugins.{key}",
                Severity.WARNING,
                f"names {name!r}, which is no installed plugin",
                f"there are: {', '.join(sorted(known)) or 'none'}",
            )
