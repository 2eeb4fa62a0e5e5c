"""The plugin manager: finds plugins, isolates the broken ones, and gives typed access to the rest.

One object per application, no module global. pluggy does the registration and checks hook
signatures; the loop over entry points is ours, because pluggy's own stops at the first plugin that
raises.
"""

from __future__ import annotations

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
from stoker.bounded_call import TookTooLongError, call_bounded
from stoker.command import CommandSpec
from stoker.config.schema import DEFAULT_IMPORT_TIMEOUT_S
from stoker.dialect import DialectSpec
from stoker.errors import ConflictError
from stoker.formats import FormatRule, FormatTable
from stoker.hookspecs import HOOK_RECORDS, PROJECT_NAME
from stoker.listener import ListenerSpec
from stoker.metrics import MetricSpec
from stoker.parser import ParserSpec
from stoker.plugin import Phase, Plugin, PluginFailureError, PluginStatus, Problem
from stoker.plugin_discovery import (
    check_version,
    describe,
    distribution_of,
    in_order,
    installed,
)
from stoker.store import StoreSpec
from stoker.transport import TransportSpec

Record = (
    BackendSpec
    | StoreSpec
    | TransportSpec
    | DialectSpec
    | ParserSpec
    | ListenerSpec
    | MetricSpec
    | CommandSpec
)
"""The records that have a name; format rules have none."""

_BLOCKED = "its name is blocked ([plugins] block, or --no-plugin)"
_NOT_ALLOWED = "its name is not allowed ([plugins] allow, STOKER_PLUGINS, or --plugin)"


class PluginManager:
    """All plugins of one application.

    Built and read by one thread; after construction nothing changes, so any thread may read.
    """

    def __init__(
        self,
        *,
        allow: Collection[str] | None = None,
        block: Collection[str] = (),
        import_timeout_s: float = DEFAULT_IMPORT_TIMEOUT_S,
        entry_points: Callable[[], Iterable[metadata.EntryPoint]] = installed,
    ) -> None:
        """Load every plugin that is not blocked; a broken one is recorded and left out.

        Args:
            allow: Names of entry points that may load; None allows all.
            block: Names that may not, also when they are allowed.
            import_timeout_s: How long the import of a plugin may take, and each of its hooks.
            entry_points: Where plugins are found.
        """
        self.backends: dict[str, BackendSpec] = {}
        self.stores: dict[str, StoreSpec] = {}
        self.transports: dict[str, TransportSpec] = {}
        self.dialects: dict[str, DialectSpec] = {}
        self.parsers: dict[str, ParserSpec] = {}
        self.listeners: dict[str, ListenerSpec] = {}
        self.metrics: dict[str, MetricSpec] = {}
        self.commands: dict[str, CommandSpec] = {}
        self.formats = FormatTable.of()
        self.plugins: tuple[Plugin, ...] = ()
        self._tables: dict[type, dict[str, Any]] = {
            BackendSpec: self.backends,
            StoreSpec: self.stores,
            TransportSpec: self.transports,
            DialectSpec: self.dialects,
            ParserSpec: self.parsers,
            ListenerSpec: self.listeners,
            MetricSpec: self.metrics,
            CommandSpec: self.commands,
        }
        self._timeout_s = import_timeout_s
        self._rules: tuple[FormatRule, ...] = ()
        self._providers: dict[tuple[type, str], Plugin] = {}
        self._pluggy = pluggy.PluginManager(PROJECT_NAME)
        self._pluggy.add_hookspecs(hookspecs)
        plugins = []
        for entry_point in in_order(entry_points()):
            reason = _reason_to_block(entry_point.name, allow, block)
            if reason:
                blocked = describe(entry_point, PluginStatus.BLOCKED)
                plugins.append(attrs.evolve(blocked, blocked_by=reason))
            else:
                plugins.append(self._load(entry_point))
        self.plugins = tuple(plugins)

    def provider(self, record: Record) -> Plugin:
        """The plugin that registered a record."""
        return self._providers[type(record), record.name]

    def _load(self, entry_point: metadata.EntryPoint) -> Plugin:
        started = time.perf_counter()
        before = self._pluggy.get_plugin(entry_point.name)
        try:
            check_version(entry_point)
            module = self._import(entry_point)
            import_ms = (time.perf_counter() - started) * 1000
            hooks = self._register(entry_point, module)
            records = self._call(entry_point.name)
            plugin = attrs.evolve(
                describe(entry_point, PluginStatus.LOADED),
                hooks=hooks,
                provides=tuple(_provides(records)),
                import_ms=import_ms,
            )
            self._add(plugin, records)
        except PluginFailureError as failure:
            if self._pluggy.get_plugin(entry_point.name) is not before:
                self._pluggy.unregister(name=entry_point.name)
            return attrs.evolve(
                describe(entry_point, PluginStatus.FAILED),
                import_ms=(time.perf_counter() - started) * 1000,
                problem=failure.problem,
            )
        return plugin

    def _import(self, entry_point: metadata.EntryPoint) -> Any:
        try:
            return call_bounded(entry_point.load, timeout_s=self._timeout_s)
        except TookTooLongError as exc:
            raise self._too_slow(Phase.IMPORT, "its import", entry_point.name) from exc
        except ModuleNotFoundError as exc:
            dist = distribution_of(entry_point) or entry_point.name
            raise _failure(
                Phase.IMPORT,
                _words(exc),
                f"install it again, with what it depends on: `stoker plugins install --upgrade"
                f" {dist}`",
            ) from exc
        except (Exception, SystemExit) as exc:
            raise _failure(Phase.IMPORT, _words(exc), _tell_author(entry_point.name)) from exc

    def _too_slow(self, phase: Phase, what: str, name: str) -> PluginFailureError:
        remedy = (
            f"set [plugins] import_timeout_s higher if it may take so long, or block it:"
            f' [plugins] block = ["{name}"]'
        )
        problem = Problem(phase, f"{what} took longer than {self._timeout_s:g} s", remedy)
        return PluginFailureError(problem)

    def _register(self, entry_point: metadata.EntryPoint, module: Any) -> tuple[str, ...]:
        name = entry_point.name
        dist = distribution_of(entry_point) or name
        upgrade = f"install versions that fit: `stoker plugins install --upgrade {dist} stoker`"
        try:
            if self._pluggy.register(module, name=name) is None:
                raise _failure(Phase.REGISTER, f"the name {name!r} is blocked", upgrade)
        except (pluggy.PluginValidationError, ValueError) as exc:
            other = self._pluggy.get_plugin(name)
            if other is not None and other is not module:
                raise _failure(
                    Phase.REGISTER,
                    f"another distribution has a plugin named {name!r} already",
                    f"keep one of the two distributions: `stoker plugins uninstall {dist}`",
                ) from exc
            raise _failure(Phase.REGISTER, str(exc), upgrade) from exc
        hooks = tuple(sorted(_marked(self._pluggy, module)))
        unknown = [hook for hook in hooks if hook not in HOOK_RECORDS]
        if unknown:
            raise _failure(
                Phase.REGISTER,
                f"unknown hook {', '.join(unknown)}: this stoker has {', '.join(HOOK_RECORDS)}",
                upgrade,
            )
        return hooks

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
                    made = call_bounded(_records_of(impl.function), timeout_s=self._timeout_s)
                except TookTooLongError as exc:
                    raise self._too_slow(Phase.CALL, hook, name) from exc
                except Exception as exc:
                    raise _failure(
                        Phase.CALL, f"{hook} raised {_words(exc)}", _tell_author(name)
                    ) from exc
                for record in made:
                    if not isinstance(record, kind):
                        raise _failure(
                            Phase.CALL,
                            f"{hook} returned a {type(record).__name__}, not {kind.__name__}",
                            _tell_author(name),
                        )
                records[kind] = made
        return records

    def _add(self, plugin: Plugin, records: Mapping[type, tuple[Any, ...]]) -> None:
        """Take all records of a plugin, or none."""
        rules = records.get(FormatRule, ())
        try:
            formats = FormatTable.of((*self._rules, *rules))
        except ConflictError as exc:
            raise _failure(Phase.CALL, str(exc), _keep_one(plugin)) from exc
        named = [
            (kind, record)
            for kind, made in records.items()
            if kind is not FormatRule
            for record in made
        ]
        self._check_names(plugin, named)
        for kind, record in named:
            self._tables[kind][record.name] = record
            self._providers[kind, record.name] = plugin
        self._rules += rules
        self.formats = formats

    def _check_names(self, plugin: Plugin, named: Iterable[tuple[type, Any]]) -> None:
        owners = {
            key: f"plugin {plugin.name!r} ({plugin.distribution})"
            for key, plugin in self._providers.items()
        }
        schemes = {scheme: spec.name for spec in self.stores.values() for scheme in spec.schemes}
        for kind, record in named:
            owner = owners.get((kind, record.name))
            if owner is not None:
                raise _failure(
                    Phase.CALL,
                    f"{_word(kind)} {record.name!r} is registered by {owner} already",
                    _keep_one(plugin),
                )
            owners[kind, record.name] = "the same plugin"
            for scheme in record.schemes if kind is StoreSpec else ():
                claimant = schemes.setdefault(scheme, record.name)
                if claimant != record.name:
                    raise _failure(
                        Phase.CALL,
                        f"store {claimant!r} claims the scheme {scheme!r} already",
                        _keep_one(plugin),
                    )


def _reason_to_block(name: str, allow: Collection[str] | None, block: Collection[str]) -> str:
    if name in block:
        return _BLOCKED
    return "" if allow is None or name in allow else _NOT_ALLOWED


def _records_of(hook: Callable[[], Iterable[Any]]) -> Callable[[], tuple[Any, ...]]:
    """The hook, with what it returns read to its end: a generator runs in here."""
    return lambda: tuple(hook())


def _failure(phase: Phase, summary: str, remedy: str) -> PluginFailureError:
    """Make the failure; inside an except block it keeps the traceback."""
    exc = sys.exception()
    text = "".join(traceback.format_exception(exc)) if exc is not None else ""
    return PluginFailureError(Problem(phase, summary, remedy, text))


def _tell_author(name: str) -> str:
    return (
        "tell its author, with what `stoker plugins --traceback` shows; until then"
        f' [plugins] block = ["{name}"] leaves it out'
    )


def _keep_one(plugin: Plugin) -> str:
    return (
        f"keep one of the two: `stoker plugins uninstall {plugin.distribution or plugin.name}`,"
        f' or [plugins] block = ["{plugin.name}"]'
    )


def _words(exc: BaseException) -> str:
    return f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__


def _marked(manager: pluggy.PluginManager, module: Any) -> list[str]:
    """Names of a plugin's functions that are marked as hook implementations."""
    return [name for name in dir(module) if manager.parse_hookimpl_opts(module, name) is not None]


def _word(kind: type) -> str:
    return kind.__name__.removesuffix("Spec").lower()


def _provides(records: Mapping[type, tuple[Any, ...]]) -> Iterable[str]:
    for kind, made in records.items():
        if kind is FormatRule:
            yield f"{len(made)} format rule{'' if len(made) == 1 else 's'}"
        else:
            yield from (f"{_word(kind)} {record.name}" for record in made)
