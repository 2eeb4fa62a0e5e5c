"""What the options before the command's name said, and the application that follows from them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from stoker.errors import ConfigError

if TYPE_CHECKING:
    from stoker.application import Application
    from stoker.config.schema import LogConfig
    from stoker.config.sources import Flag


@attrs.define
class Invocation:
    """One run of the command line; commands get it by `click.pass_obj`."""

    config_file: Path | None = None
    assignments: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    verbose: bool = False
    _application: Application | None = None

    def configure(
        self,
        *,
        config_file: Path | None,
        assignments: tuple[str, ...],
        blocked: tuple[str, ...],
        allowed: tuple[str, ...],
        verbose: bool,
    ) -> None:
        """Take the options of the command line; the same ones may come again."""
        self.config_file = config_file
        self.assignments = assignments
        self.blocked = blocked
        self.allowed = allowed
        self.verbose = verbose

    @property
    def has_settings(self) -> bool:
        """Whether the command line changes the configuration."""
        return bool(self.config_file or self.assignments or self.blocked or self.allowed)

    def start_logging(self) -> None:
        """Send log records to standard error: warnings, and with `-v` more."""
        logging.basicConfig(
            level=logging.INFO if self.verbose else logging.WARNING,
            format="%(levelname)s %(name)s: %(message)s",
        )

    def log_as(self, config: LogConfig) -> None:
        """Log as the configuration says; `-v` asks for more, never for less."""
        level = logging.getLevelNamesMapping()[config.level.upper()]
        root = logging.getLogger()
        root.setLevel(min(level, logging.INFO) if self.verbose else level)
        if config.format == "json":
            from stoker.cli.log_format import JsonFormatter

            for handler in root.handlers:
                handler.setFormatter(JsonFormatter())

    def application(self, flags: Sequence[Flag] = ()) -> Application:
        """Read the configuration and load the plugins.

        Args:
            flags: Settings of the command itself; they win over `--set`.

        Raises:
            ConfigError: A setting is wrong, or `--plugin` or `--no-plugin` names a plugin that is
                not there.
        """
        from stoker.application import Application

        application = Application.create(config_file=self.config_file, flags=self.flags(flags))
        self._application = application
        known = {plugin.name for plugin in application.plugins.plugins}
        named = [("--plugin", name) for name in self.allowed]
        named += [("--no-plugin", name) for name in self.blocked]
        for flag, name in named:
            if name not in known:
                raise ConfigError(
                    source=flag,
                    key="",
                    problem=f"no plugin {name!r} is installed;"
                    f" there are: {', '.join(sorted(known)) or 'none'}",
                )
        return application

    def flags(self, more: Sequence[Flag] = ()) -> tuple[Flag, ...]:
        """All settings from the command line, later ones winning.

        Raises:
            ConfigError: One is malformed, or (`--no-plugin` adds to the config's list) the
                configuration is.
        """
        from stoker.config import load_settings
        from stoker.config.sources import Flag, parse_assignment

        flags = (*map(parse_assignment, self.assignments), *more)
        if self.allowed:
            flags = (*flags, Flag("--plugin", ("plugins", "allow"), self.allowed))
        if not self.blocked:
            return flags
        config = load_settings(config_file=self.config_file, flags=flags).config
        block = (*config.plugins.block, *self.blocked)
        return (*flags, Flag("--no-plugin", ("plugins", "block"), block))

    def failed_plugins(self) -> list[str]:
        """Names of the plugins that could not be loaded, as far as any were."""
        if self._application is None:
            return []
        return [plugin.name for plugin in self._application.plugins.plugins if plugin.problem]
