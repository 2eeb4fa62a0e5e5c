"""A plugin as the program knows it: what it is, what became of it, and what is wrong."""

from __future__ import annotations

import enum

import attrs


class PluginStatus(enum.StrEnum):
    """What became of a plugin."""

    LOADED = "loaded"
    BLOCKED = "blocked"
    FAILED = "failed"


class Phase(enum.StrEnum):
    """Where a plugin failed."""

    VERSION = "version"
    IMPORT = "import"
    REGISTER = "register"
    CALL = "call"


@attrs.frozen
class Problem:
    """Why a plugin failed."""

    phase: Phase
    summary: str
    remedy: str
    """What the user can do about it."""
    traceback: str = ""


@attrs.frozen
class Plugin:
    """A plugin as `stoker plugins` lists it."""

    name: str
    """The entry point's name."""
    distribution: str
    version: str
    module: str
    status: PluginStatus
    hooks: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    """Like `backend parrot`, `store oci`."""
    import_ms: float = 0.0
    problem: Problem | None = None
    blocked_by: str = ""
    """Which list keeps it out; empty when it is not blocked."""


class PluginFailureError(Exception):
    """Carries a problem from where it was found to the loop that records it."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.summary)
