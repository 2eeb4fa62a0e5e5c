"""Reading the configuration again while the server runs.

What is wrong in it is refused as a whole, and the old one stays in force. Running answers are not
touched: they go on with the plan that they began with.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import attrs

from stoker.application import Application
from stoker.config import Config, Settings
from stoker.config_check import all_settings, require_valid
from stoker.errors import ConfigError
from stoker.keys import KeyRing
from stoker.supervisor.residency import Residency

_log = logging.getLogger(__name__)

NEEDS_RESTART = ("plugins", "serve", "transports", "listeners")
"""Sections that are read only when the server starts."""


@attrs.frozen
class Reloaded:
    """What a new configuration has changed, by keys."""

    changed: tuple[str, ...]
    """In force now."""
    needs_restart: tuple[str, ...]
    """Not before the server starts anew."""


class Reloader:
    """Reloads on request, one reload at a time. Used on the event loop only."""

    def __init__(
        self,
        application: Application,
        read: Callable[[], Settings],
        *,
        keys: KeyRing,
        applied: Callable[[Config], None] = lambda _config: None,
    ) -> None:
        """Make it; `residency` is set by the supervisor.

        Args:
            application: What gets the new settings.
            read: Reads all sources again.
            keys: The ring that the transports have.
            applied: Told of the new configuration, for what does not hang on the application.
        """
        self.residency: Residency | None = None
        self._application = application
        self._read = read
        self._keys = keys
        self._applied = applied
        self._running: asyncio.Task[Reloaded] | None = None

    async def reload(self) -> Reloaded:
        """Read the configuration and put it into force.

        Raises:
            ConfigError: It is wrong; nothing has changed.
        """
        while self._running is not None and not self._running.done():
            await asyncio.wait([self._running])
        self._running = asyncio.create_task(self._reload())
        # Who asked may leave; a reload that has begun is finished.
        return await asyncio.shield(self._running)

    async def _reload(self) -> Reloaded:
        application = self._application
        before, settings, after = await asyncio.to_thread(self._checked)
        keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        if application.settings.config.keys and not settings.config.keys:
            raise ConfigError(
                source="configuration",
                key="keys",
                problem="the last key cannot be taken away while the server runs, because it would"
                " be open to everybody: restart it",
            )
        application.take(settings)
        self._keys.replace(key.to_domain() for key in settings.config.keys)
        self._applied(settings.config)
        if self.residency is not None:
            config = settings.config
            self.residency.configure(
                wait_timeout_s=config.memory.wait_timeout_s, queue=config.queue
            )
            await self.residency.plan_again(
                lambda artifact, backend: application.plan(artifact, backend=backend)
            )
        late = tuple(key for key in keys if key.partition(".")[0] in NEEDS_RESTART)
        result = Reloaded(tuple(key for key in keys if key not in late), late)
        _log.info("Reloaded: %s", ", ".join(result.changed) or "nothing has changed")
        if late:
            _log.warning("A restart is needed for: %s", ", ".join(late))
        return result

    def _checked(self) -> tuple[dict[str, object], Settings, dict[str, object]]:
        before = {item.key: item.value for item in all_settings(self._application)}
        settings = self._read()
        changed = self._application.with_settings(settings)
        require_valid(changed)
        return before, settings, {item.key: item.value for item in all_settings(changed)}
