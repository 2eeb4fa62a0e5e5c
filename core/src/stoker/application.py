"""The application: settings, plugins and stores put together; the root that everything hangs on."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import attrs
import msgspec

from stoker.aliases import Alias, AliasTable
from stoker.artifact import Artifact, ModelBundle
from stoker.backend import BackendSpec
from stoker.config import Settings, load_settings
from stoker.config.sources import Flag
from stoker.memory.plan import MemoryPlan
from stoker.memory.planner import MemoryPlanner
from stoker.plugins import PluginManager
from stoker.selection import Decision, decide
from stoker.stores import Stores


@attrs.frozen
class LoadPlan:
    """Everything that loading a model takes, decided."""

    artifact: Artifact
    bundle: ModelBundle
    backend: BackendSpec
    plugin: str
    """Entry-point name of the backend's plugin."""
    options: msgspec.Struct
    """With the context length that was chosen where the config prescribes none."""
    memory: MemoryPlan
    keep_alive_s: float
    priority: int = 0
    pin: bool = False
    parser: str | None = None
    """The parser of answers that the config prescribes."""
    parser_plugins: tuple[str, ...] = ()
    """Entry-point names of the plugins that have parsers."""


class Application:
    """One stoker: used by the command line, the server and `stoker.open` alike.

    Everything in it blocks (stores read disks) and may be called from several threads.
    """

    def __init__(self, settings: Settings, plugins: PluginManager) -> None:
        self.settings = settings
        self.plugins = plugins
        self.stores = Stores(plugins, settings)
        self._aliases = AliasTable(settings.config.aliases, self.stores.schemes)
        self._planner = MemoryPlanner(settings.config.memory)

    @classmethod
    def create(
        cls,
        *,
        config_file: Path | None = None,
        flags: Sequence[Flag] = (),
        environ: Mapping[str, str] = os.environ,
    ) -> Application:
        """Read the configuration and load the plugins that it allows.

        `STOKER_PLUGINS` (names with commas between them; empty for none) allows fewer.

        Raises:
            ConfigError: A setting is wrong.
        """
        settings = load_settings(config_file=config_file, flags=flags, environ=environ)
        allow: Collection[str] | None = settings.config.plugins.allow
        if "STOKER_PLUGINS" in environ:
            names = {name.strip() for name in environ["STOKER_PLUGINS"].split(",")}
            allow = names if allow is None else names & set(allow)
        plugins = PluginManager(
            allow=allow,
            block=settings.config.plugins.block,
            import_timeout_s=settings.config.plugins.import_timeout_s,
        )
        return cls(settings, plugins)

    def alias(self, name: str) -> Alias | None:
        """The alias that a name means; None when it is a model's own name, or none."""
        return self._aliases.find(name)

    def resolve(self, name: str) -> Artifact:
        """Look up a model that is here, by its name or by an alias.

        Raises:
            ModelNotFoundError: It is not here; the message says how to get it.
            InvalidReferenceError: The name follows no grammar.
        """
        alias = self.alias(name)
        return self.stores.resolve(name if alias is None else alias.model)

    def model_rules(self, artifact: Artifact) -> tuple[str, ...]:
        """The keys of `[models]` that are about an artifact, the least exact first.

        Raises:
            ConfigError: A key is neither a pattern nor a name nor a digest.
        """
        return self.settings.model_rules(
            artifact.reference, artifact.digest, schemes=self.stores.schemes
        )

    def take(self, settings: Settings) -> None:
        """Put other settings into force. Plans that were made stay what they are.

        Stores are kept, with what they have open, unless something about them has changed.
        """
        old, new = self.settings.config, settings.config
        self.settings = settings
        self._planner = MemoryPlanner(new.memory)
        if (old.stores, old.defaults.store) != (new.stores, new.defaults.store):
            self.stores = Stores(self.plugins, settings)
        self._aliases = AliasTable(new.aliases, self.stores.schemes)

    def with_settings(self, settings: Settings) -> Application:
        """The same plugins with other settings; what is loaded does not change."""
        return Application(settings, self.plugins)

    def decide(self, artifact: Artifact, *, backend: str | None = None) -> Decision:
        """Choose the backend for an artifact; see `stoker.selection`.

        Raises:
            ConfigError: The settings of models are wrong.
        """
        model = self.settings.model(self.model_rules(artifact))
        return decide(
            self.plugins.formats.layers(artifact),
            self.plugins.backends,
            request_pin=backend,
            config_pin=model.backend,
            order=self.settings.config.selection,
        )

    def plan(self, artifact: Artifact, *, backend: str | None = None) -> LoadPlan:
        """Decide how a model that is here is to be loaded.

        Args:
            artifact: The model.
            backend: Pins the backend.

        Raises:
            StokerError: No backend can run it, or a setting of it is wrong.
        """
        spec = self.decide(artifact, backend=backend).require()
        rules = self.model_rules(artifact)
        model = self.settings.model(rules)
        keep_alive_s = model.keep_alive_s
        if keep_alive_s is None:
            keep_alive_s = self.settings.config.defaults.keep_alive_s
        bundle = self.stores.of(artifact.reference).open(artifact)
        options = self.settings.model_options(spec.name, spec.options_type, rules)
        memory, options = self._planner.plan(spec, bundle, options)
        return LoadPlan(
            artifact=artifact,
            bundle=bundle,
            backend=spec,
            plugin=self.plugins.provider(spec).name,
            options=options,
            memory=memory,
            keep_alive_s=keep_alive_s,
            priority=model.priority,
            pin=model.pin,
            parser=model.parser,
            parser_plugins=tuple(
                sorted({self.plugins.provider(each).name for each in self.plugins.parsers.values()})
            ),
        )
