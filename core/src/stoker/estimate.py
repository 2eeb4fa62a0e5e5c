"""The memory seam: what a backend says of a model's memory before anything is loaded.

The core decides by it which models fit side by side and how long their contexts are, so a backend
that gives no estimate is counted by the size of its weights' files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs
import msgspec

from stoker.artifact import ModelBundle

HOST = "host"
"""The machine's own memory. Other devices are named as the backend names them."""


@attrs.frozen
class DeviceNeed:
    """What a loaded model takes of one device's memory when its context is full."""

    device: str = HOST
    mapped_bytes: int = 0
    """Pages of the weights' files that are mapped and not copied.

    They are needed for the model to be quick, so they count. But the system can take them back
    without swapping, and several processes that map a file share them.
    """
    weights_bytes: int = 0
    """Weights that are copied."""
    cache_bytes: int = 0
    """The KV cache, and the states of recurrent layers."""
    buffer_bytes: int = 0
    """Room to compute in."""
    process_bytes: int = 0
    """The process itself: interpreter, libraries, vocabulary."""
    reserve_bytes: int = 0
    """What it may take later, as it is used, and does not give back: kept prefixes."""

    @property
    def own_bytes(self) -> int:
        """All that no other process can share."""
        loaded = self.weights_bytes + self.cache_bytes + self.buffer_bytes + self.process_bytes
        return loaded + self.reserve_bytes

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.mapped_bytes + self.own_bytes


@attrs.frozen
class DeviceMemory:
    """A device besides the host that the estimate puts something on."""

    name: str
    memory_bytes: int | None
    """All that it has; None when it is not known."""


def _as_it_is(options: msgspec.Struct, context_length: int) -> msgspec.Struct:
    del context_length
    return options


@attrs.frozen
class MemoryEstimate:
    """A model's memory as a function of its context length."""

    needs: Callable[[int], tuple[DeviceNeed, ...]]
    """What is needed for a context length, at most once for each device. Takes microseconds."""
    max_context_length: int | None = None
    """What the model was trained for; None when nobody knows, or when there is no context."""
    context_length: int | None = None
    """What the options prescribe; None leaves the choice to the core."""
    preferred_context_length: int | None = None
    """The most that is useful when the choice is the core's; None knows no better than the core."""
    configure: Callable[[msgspec.Struct, int], msgspec.Struct] = _as_it_is
    """Takes the options and a context length; gives options that prescribe it."""
    devices: tuple[DeviceMemory, ...] = ()


class EstimateMemory(Protocol):
    """Estimate a model's memory, before it is loaded.

    Called in the supervisor and by commands, in worker threads, whenever a load is planned. It may
    read the headers of files, and ask a process of its own for devices if it keeps the answer. It
    must not import the engine. A tenth of a second is fine.
    """

    def __call__(self, bundle: ModelBundle, options: msgspec.Struct) -> MemoryEstimate:
        """Estimate.

        Args:
            bundle: The model's files.
            options: An instance of the record's `options_type`.

        Raises:
            InvalidInputError: A file is missing, or is not what it should be.
            BackendUnavailableError: The devices cannot be found out.
        """
