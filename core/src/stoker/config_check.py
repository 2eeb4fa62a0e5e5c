"""Checking a configuration as a whole: what the sources alone cannot tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from stoker.application import Application
from stoker.config.effective import (
    DEFAULT,
    PLUGIN_SECTIONS,
    EffectiveSetting,
    core_settings,
    dotted,
    option_settings,
)
from stoker.config.model_rules import check_keys
from stoker.config.settings import normalised
from stoker.errors import ConfigError, InvalidReferenceError, StokerError
from stoker.plugin_checkup import Finding, Severity
from stoker.plugins import PluginManager


def check_config(application: Application) -> tuple[Finding, ...]:
    """Look for settings that are wrong, or that nobody will ever read; the worst first."""
    found = [
        *_options(application),
        *_tables_of_nobody(application),
        *_names_of_backends(application),
        *_models(application),
        *_aliases(application),
    ]
    order = list(Severity)
    return tuple(sorted(found, key=lambda item: (order.index(item.severity), item.subject)))


def require_valid(application: Application) -> None:
    """Refuse a configuration with an error in it.

    Raises:
        ConfigError: There is one.
    """
    for finding in check_config(application):
        if finding.severity is Severity.ERROR:
            raise ConfigError(source="configuration", key="", problem=finding.summary)


def all_settings(application: Application) -> Iterator[EffectiveSetting]:
    """The effective settings of the core and of all installed plugins.

    Raises:
        ConfigError: An option is unknown or has a wrong value.
    """
    settings = application.settings
    yield from core_settings(settings)
    for section, spec in _specs(application.plugins):
        options = settings.options(section, spec.name, spec.options_type)
        tables = settings.option_tables(section, spec.name)
        place = (section, spec.name)
        # A variable spells the name in its own way; that is still the plugin's table.
        tables = [_in_place(item, place) for item in tables]
        yield from option_settings(options, tables, place)


def model_settings(
    application: Application, name: str
) -> tuple[list[EffectiveSetting], Sequence[str]]:
    """The effective settings of one model, and the keys of `[models]` that are about it.

    Raises:
        ModelNotFoundError: The model is not here.
        StokerError: No backend can run it, or a setting is wrong.
    """
    settings = application.settings
    alias = application.alias(name)
    artifact = application.resolve(name)
    rules = application.model_rules(artifact)
    decision = application.decide(artifact)
    spec = decision.require()
    model = msgspec.to_builtins(settings.model(rules))
    model["backend"] = spec.name
    found = []
    for key, value in model.items():
        if key == "options":
            continue
        origin = _origin(application, rules, key)
        if key == "backend" and origin == DEFAULT:
            origin = str(decision.rule)
        if key == "keep_alive_s" and value is None:
            source = settings.source_of(("defaults", "keep_alive_s"))
            origin = f"{source.name if source else DEFAULT}: defaults.keep_alive_s"
            found.append(EffectiveSetting(key, settings.config.defaults.keep_alive_s, origin))
            continue
        found.append(EffectiveSetting(key, value, origin))
    options = settings.model_options(spec.name, spec.options_type, rules)
    place = ("backends", spec.name)
    tables = [
        _in_place(item, place) if item.place[0] == "backends" else item
        for item in settings.model_option_tables(spec.name, rules)
    ]
    found += option_settings(options, tables, place)
    if alias is not None:
        parameters = msgspec.to_builtins(alias.config)
        for kind in ("defaults", "enforced"):
            for key, value in parameters[kind].items():
                path = ("aliases", alias.name, kind, key)
                source = settings.source_of(path)
                found.append(
                    EffectiveSetting(dotted(path), value, source.name if source else DEFAULT)
                )
    return found, rules


def _origin(application: Application, rules: Sequence[str], key: str) -> str:
    for rule in reversed(rules):
        source = application.settings.source_of(("models", rule, key))
        if source is not None:
            return f"{source.name}: {dotted(('models', rule, key))}"
    return DEFAULT


def _in_place(item: Any, place: tuple[str, ...]) -> Any:
    return type(item)(item.source, place, item.table)


def _specs(plugins: PluginManager) -> Iterator[tuple[str, Any]]:
    for section in PLUGIN_SECTIONS:
        for _, spec in sorted(getattr(plugins, section).items()):
            yield section, spec


def _options(application: Application) -> Iterator[Finding]:
    """Options that the plugin does not take."""
    for section, spec in _specs(application.plugins):
        try:
            application.settings.options(section, spec.name, spec.options_type)
        except ConfigError as exc:
            yield _error(f"{section}.{spec.name}", exc)


def _tables_of_nobody(application: Application) -> Iterator[Finding]:
    """Tables of plugins that are not installed, or whose name is misspelt."""
    for section in PLUGIN_SECTIONS:
        known = sorted(getattr(application.plugins, section))
        spelt = {*known, *map(normalised, known)}
        for name in getattr(application.settings.config, section):
            if name not in spelt:
                kind = section.removesuffix("s")
                yield Finding(
                    dotted((section, name)),
                    Severity.WARNING,
                    f"no {kind} of this name is installed",
                    f"there are: {', '.join(known) or 'none'}",
                )


def _names_of_backends(application: Application) -> Iterator[Finding]:
    known = sorted(application.plugins.backends)
    config = application.settings.config
    named = [
        (dotted(("selection", media_type)), name)
        for media_type, names in config.selection.items()
        for name in names
    ]
    named += [
        (dotted(("models", key, "backend")), model.backend)
        for key, model in config.models.items()
        if model.backend is not None
    ]
    for key, name in named:
        if name not in known:
            yield Finding(
                key,
                Severity.WARNING,
                f"names backend {name!r}, which is not installed",
                f"there are: {', '.join(known) or 'none'}",
            )


def _models(application: Application) -> Iterator[Finding]:
    settings, backends = application.settings, application.plugins.backends
    for key, model in settings.config.models.items():
        try:
            check_keys([key], schemes=application.stores.schemes)
        except ConfigError as exc:
            yield _error(dotted(("models", key)), exc)
            continue
        specs = [backends[model.backend]] if model.backend in backends else backends.values()
        problems = []
        for spec in specs:
            try:
                settings.model_options(spec.name, spec.options_type, [key])
                break
            except ConfigError as exc:
                problems.append(exc)
        else:
            if problems:
                yield _error(dotted(("models", key, "options")), problems[0])


def _aliases(application: Application) -> Iterator[Finding]:
    for name, alias in application.settings.config.aliases.items():
        key = dotted(("aliases", name))
        try:
            application.stores.parse(alias.model)
        except InvalidReferenceError as exc:
            yield _error(key, exc)
        try:
            application.stores.resolve(name)
        except StokerError:
            # As it should be: nothing else is called so.
            continue
        yield Finding(
            key,
            Severity.WARNING,
            "has the name of a model that is here, which cannot be asked for any more",
            "choose another name for the alias",
        )


def _error(subject: str, exc: StokerError) -> Finding:
    return Finding(subject, Severity.ERROR, exc.message, "change it, or remove the line")
