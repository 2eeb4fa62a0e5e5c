"""The settings of the core, as they stand in `stoker.toml`.

A plugin's own settings (`[backends.NAME]`, `[stores.NAME]`, ...) are raw tables here: only the
plugin's options type knows their fields.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from stoker.caller import Scope
from stoker.config.aliases import AliasConfig, check_names
from stoker.config.limits import LimitsConfig, QueueConfig
from stoker.errors import InvalidInputError
from stoker.keys import ApiKey, is_hash
from stoker.memory.size import parse_size

DEFAULT_IMPORT_TIMEOUT_S = 5.0
"""Reading a plugin takes milliseconds; a thousand times as much is a mistake."""

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


class PluginsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[plugins]`: which plugins may load, by the names that `stoker plugins` shows."""

    allow: tuple[str, ...] | None = None
    """Only these; unset allows all."""
    block: tuple[str, ...] = ()
    import_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = DEFAULT_IMPORT_TIMEOUT_S
    """How long the import of one may take, and each of its hooks; then it counts as failed."""


class DefaultsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[defaults]`: what holds when nothing more specific is said."""

    store: str | None = None
    """The store for references without a scheme; unset takes the only one there is."""
    keep_alive_s: Seconds = 300.0
    """How long an idle model stays loaded; `inf` keeps it for ever, 0 not at all."""
    load_timeout_s: Seconds = 600.0
    """How long loading may take."""
    step_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 300.0
    """How long an engine may be silent while it has requests, before it is taken for hung and its
    runner is ended; `inf` waits for ever."""


class MemoryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[memory]`: how much of it loaded models may take together."""

    budget: Share | str | None = None
    """An amount (`"12 GiB"`), or a share of what the machine or the control group has; unset is a
    share of 0.8."""
    devices: dict[str, Share | str] = {}
    """The same for other devices, by the names that `stoker plugins` shows."""
    wait_timeout_s: Seconds = 60.0
    """How long a request may wait for memory that busy models have."""

    def __post_init__(self) -> None:
        """Check the amounts."""
        for amount in (self.budget, *self.devices.values()):
            if isinstance(amount, str):
                _check_size(amount)


def _check_size(amount: str) -> None:
    try:
        parse_size(amount)
    except InvalidInputError as exc:
        # What msgspec expects of a check, and turns into its own error with the place.
        raise ValueError(str(exc)) from exc


class ServeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[serve]`: what `stoker serve` starts."""

    transports: tuple[str, ...] | None = None
    """Only these; unset starts every installed one that starts unasked."""


class KeyConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[keys]]`: an API key that clients of transports may use; there may be many."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    """Logs and `ps` show it."""
    hash: str
    """As `stoker keys new` prints it; the key itself stands nowhere."""
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1)] = (Scope.INFER,)
    """`infer` may ask, list and pull models; `admin` may change what is loaded and stored."""

    def __post_init__(self) -> None:
        """Check the hash; it is not repeated, because it may be a key by mistake."""
        if not is_hash(self.hash):
            raise ValueError("hash is none: `stoker keys new` prints a key and its hash")

    def to_domain(self) -> ApiKey:
        """The key as a ring has it."""
        return ApiKey(self.name, self.hash, frozenset(self.scopes))


class LogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[log]`: what `stoker serve` logs, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "warning"
    """With `info` there is a record of every request; `-v` asks for it, too."""
    format: Literal["text", "json"] = "text"


class ArchiveConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[archive]`: answers that clients may come back to, kept on disk for their own callers."""

    enabled: bool = True
    """Without it nothing is kept, whatever requests say."""
    max_age_s: Annotated[float, msgspec.Meta(gt=0)] = 30 * 24 * 3600.0
    """Older answers are gone; `inf` sets no bound."""
    max_size: str = "256 MiB"
    """Of all answers together; beyond it the oldest go."""

    def __post_init__(self) -> None:
        """Check the size."""
        _check_size(self.max_size)


class ModelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[models."NAME"]`: settings of one model, or of all that a pattern or digest means."""

    backend: str | None = None
    """Pins the backend."""
    keep_alive_s: Seconds | None = None
    priority: int = 0
    """Models with a larger one keep their memory when others need some, and are loaded first."""
    pin: bool = False
    """Once loaded, keep it: neither idleness nor another model's need unloads it."""
    preload: bool = False
    """Load it when the server starts."""
    parser: str | None = None
    """How its answers are read: the name of a parser of tool calls and reasoning; unset looks at
    the chat template."""
    options: dict[str, Any] = {}
    """Laid over the backend's own table for this model."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything."""

    plugins: PluginsConfig = PluginsConfig()
    defaults: DefaultsConfig = DefaultsConfig()
    memory: MemoryConfig = MemoryConfig()
    serve: ServeConfig = ServeConfig()
    keys: tuple[KeyConfig, ...] = ()
    limits: LimitsConfig = LimitsConfig()
    queue: QueueConfig = QueueConfig()
    log: LogConfig = LogConfig()
    archive: ArchiveConfig = ArchiveConfig()
    selection: dict[str, tuple[str, ...]] = {}
    """Backends by canonical media type, best first."""
    models: dict[str, ModelConfig] = {}
    aliases: dict[str, AliasConfig] = {}
    """Virtual models, by name."""
    backends: dict[str, dict[str, Any]] = {}
    stores: dict[str, dict[str, Any]] = {}
    transports: dict[str, dict[str, Any]] = {}
    listeners: dict[str, dict[str, Any]] = {}

    def __post_init__(self) -> None:
        """Check that no two keys have one name, and the names of aliases."""
        check_names(self.aliases)
        names = [key.name for key in self.keys]
        if len(set(names)) < len(names):
            raise ValueError("two keys have the same name")
