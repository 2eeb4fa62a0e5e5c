"""The plugin manager: finds plugins, isolates the broken ones, and gives typed access to the rest.

One object per application, no module global. pluggy does the registration and checks hook
signatures; the loop over entry points is ours, because pluggy's own stops at the first plugin that
raises.
"""

from __future__ import annotations

import contextlib
import enum
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib import metadata
from typing import Any

import attrs
import pluggy

from stoker import hookspecs
from stoker.backend import BackendSpec
from stoker.dialect import DialectSpec
from stoker.errors import ConflictError
from stoker.formats import FormatRule, FormatTable
from stoker.hookspecs import ENTRY_POINT_GROUP, HOOK_RECORDS, PROJECT_NAME
from stoker.parser import ParserSpec
from stoker.store import StoreSpec
from stoker.transport import TransportSpec

Record = BackendSpec | StoreSpec | TransportSpec | DialectSpec | ParserSpec
"""The records that have a name; format rules have none."""


class PluginStatus(enum.StrEnum):
    """What became of a plugin."""

    LOADED = "loaded"
    BLOCKED = "blocked"
    FAILED = "failed"


class Phase(enum.StrEnum):
    """Where a plugin failed."""

    IMPORT = "import"
    REGISTER = "register"
    CALL = "call"


@attrs.frozen
class Problem:
    """Why a plugin failed."""

    phase: Phase
    summary: str
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


class _PluginFailureError(Exception):
    """Carries a problem to the loop that records it."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.summary)


def _installed() -> Iterable[metadata.EntryPoint]:
    return metadata.entry_points(group=ENTRY_POINT_GROUP)


def _by_name_then_distribution(entry_point: metadata.EntryPoint) -> tuple[str, str]:
    return (entry_point.name, entry_point.dist.name if entry_point.dist else "")


class PluginManager:
    """All plugins of one application.

    Built and read by one thread; after construction nothing changes, so any thread may read.
    """

    def __init__(
        self,
        *,
        allow: Collection[str] | None = None,
        block: Collection[str] = (),
        entry_points: Callable[[], Iterable[metadata.EntryPoint]] = _installed,
    ) -> None:
        """Load every plugin that is not blocked; a broken one is recorded and left out.

        Args:
            allow: Names of entry points that may load; None allows all.
            block: Names that may not, also when they are allowed.
            entry_points: Where plugins are found.
        """
        self.backends: dict[str, BackendSpec] = {}
        self.stores: dict[str, StoreSpec] = {}
        self.transports: dict[str, TransportSpec] = {}
        self.dialects: dict[str, DialectSpec] = {}
        self.parsers: dict[str, ParserSpec] = {}
        self.formats = FormatTable.of()
        self.plugins: tuple[Plugin, ...] = ()
        self._tables: dict[type, dict[str, Any]] = {
            BackendSpec: self.backends,
            StoreSpec: self.stores,
            TransportSpec: self.transports,
            DialectSpec: self.dialects,
            ParserSpec: self.parsers,
        }
        self._rules: tuple[FormatRule, ...] = ()
        self._providers: dict[tuple[type, str], Plugin] = {}
        self._pluggy = pluggy.PluginManager(PROJECT_NAME)
        self._pluggy.add_hookspecs(hookspecs)
        plugins = []
        for entry_point in sorted(entry_points(), key=_by_name_then_distribution):
            allowed = allow is None or entry_point.name in allow
            if not allowed or entry_point.name in block:
                plugins.append(_describe(entry_point, PluginStatus.BLOCKED))
            else:
                plugins.append(self._load(entry_point))
        self.plugins = tuple(plugins)

    def provider(self, record: Record) -> Plugin:
        """The plugin that registered a record."""
        return self._providers[type(record), record.name]

    def _load(self, entry_point: metadata.EntryPoint) -> Plugin:
        started = time.perf_counter()
        try:
            module = _import(entry_point)
            import_ms = (time.perf_counter() - started) * 1000
            hooks = self._register(entry_point.name, module)
            records = self._call(entry_point.name)
            plugin = attrs.evolve(
                _describe(entry_point, PluginStatus.LOADED),
                hooks=hooks,
                provides=tuple(_provides(records)),
                import_ms=import_ms,
            )
            self._add(plugin, records)
        except _PluginFailureError as failure:
            if self._pluggy.has_plugin(entry_point.name):
                self._pluggy.unregister(name=entry_point.name)
            return attrs.evolve(
                _describe(entry_point, PluginStatus.FAILED),
                import_ms=(time.perf_counter() - started) * 1000,
                problem=failure.problem,
            )
        return plugin

    def _register(self, name: str, module: Any) -> tuple[str, ...]:
        try:
            if self._pluggy.register(module, name=name) is None:
                raise _failure(Phase.REGISTER, f"the name {name!r} is blocked")
        except (pluggy.PluginValidationError, ValueError) as exc:
            other = self._pluggy.get_plugin(name)
            if other is not None and other is not module:
                summary = f"another distribution has a plugin named {name!r} already"
                raise _PluginFailureError(Problem(Phase.REGISTER, summary)) from exc
            raise _failure(Phase.REGISTER, str(exc)) from exc
        unknown = [hook for hook in _marked(self._pluggy, module) if hook not in HOOK_RECORDS]
        if unknown:
            raise _failure(
                Phase.REGISTER,
                f"unknown hook {', '.join(unknown)}: this stoker has {', '.join(HOOK_RECORDS)}",
            )
        return tuple(sorted(_marked(self._pluggy, module)))

    def _call(self, name: str) -> dict[type, tuple[Any, ...]]:
        """Call the hooks of one plugin, by pluggy's own public view of its implementations.

        Not `pm.hook.x()`: that would mix all plugins' records and lose whose error it was.
        """
        records: dict[type, tuple[Any, ...]] = {}
        for hook, kind in HOOK_RECORDS.items():
            for impl in getattr(self._pluggy.hook, hook).get_hookimpls():
                if impl.plugin_name != name:
                    continue
                try:
                    with contextlib.redirect_stdout(sys.stderr):
                        made = tuple(impl.function())
                except Exception as exc:
                    raise _failure(Phase.CALL, f"{hook} raised {_words(exc)}") from exc
                for record in made:
                    if not isinstance(record, kind):
                        raise _failure(
                            Phase.CALL,
                            f"{hook} returned a {type(record).__name__}, not {kind.__name__}",
                        )
                records[kind] = made
        return records

    def _add(self, plugin: Plugin, records: Mapping[type, tuple[Any, ...]]) -> None:
        """Take all records of a plugin, or none."""
        rules = records.get(FormatRule, ())
        try:
            formats = FormatTable.of((*self._rules, *rules))
        except ConflictError as exc:
            raise _failure(Phase.CALL, str(exc)) from exc
        named = [
            (kind, record)
            for kind, made in records.items()
            if kind is not FormatRule
            for record in made
        ]
        self._check_names(named)
        for kind, record in named:
            self._tables[kind][record.name] = record
            self._providers[kind, record.name] = plugin
        self._rules += rules
        self.formats = formats

    def _check_names(self, named: Iterable[tuple[type, Any]]) -> None:
        owners = {
            key: f"plugin {plugin.name!r} ({plugin.distribution})"
            for key, plugin in self._providers.items()
        }
        schemes = {scheme: spec.name for spec in self.stores.values() for scheme in spec.schemes}
        for kind, record in named:
            owner = owners.get((kind, record.name))
            if owner is not None:
                raise _failure(
                    Phase.CALL, f"{_word(kind)} {record.name!r} is registered by {owner} already"
                )
            owners[kind, record.name] = "the same plugin"
            for scheme in record.schemes if kind is StoreSpec else ():
                claimant = schemes.setdefault(scheme, record.name)
                if claimant != record.name:
                    raise _failure(
                        Phase.CALL, f"store {claimant!r} claims the scheme {scheme!r} already"
                    )


def _import(entry_point: metadata.EntryPoint) -> Any:
    try:
        # What a module prints while it is imported must not end up in somebody's JSON.
        with contextlib.redirect_stdout(sys.stderr):
            return entry_point.load()
    except (Exception, SystemExit) as exc:
        raise _failure(Phase.IMPORT, _words(exc)) from exc


def _failure(phase: Phase, summary: str) -> _PluginFailureError:
    """Make the failure; inside an except block it keeps the traceback."""
    text = traceback.format_exc() if sys.exception() is not None else ""
    return _PluginFailureError(Problem(phase, summary, text))


def _words(exc: BaseException) -> str:
    return f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__


def _describe(entry_point: metadata.EntryPoint, status: PluginStatus) -> Plugin:
    dist = entry_point.dist
    return Plugin(
        name=entry_point.name,
        distribution=dist.name if dist else "",
        version=dist.version if dist else "",
        module=entry_point.value,
        status=status,
    )


def _marked(manager: pluggy.PluginManager, module: Any) -> list[str]:
    """Names of a plugin's functions that are marked as hook implementations."""
    return [name for name in dir(module) if manager.parse_hookimpl_opts(module, name) is not None]


def _word(kind: type) -> str:
    return kind.__name__.removesuffix("Spec").lower()


def _provides(records: Mapping[type, tuple[Any, ...]]) -> Iterable[str]:
    for kind, made in records.items():
        if kind is FormatRule:
            yield f"{len(made)} format rules"
        else:
            yield from (f"{_word(kind)} {record.name}" for record in made)
