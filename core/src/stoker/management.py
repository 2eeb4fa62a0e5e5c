"""Management: what callers may ask besides answers, each a command with a stream of events.

Order: any number of `Progress` and `Loading`, then exactly one result or one `Failed`. Which result
belongs to which command stands with the command.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Protocol

import attrs

from stoker.backend import Availability
from stoker.caller import Caller, Scope
from stoker.digest import Digest
from stoker.events import Failed, Loading
from stoker.host import ModelCard, RunnerStatus
from stoker.store import Progress, Removal


@attrs.frozen
class PullModel:
    """Fetch a model. Gives `ModelStored`.

    Callers that pull the same model share one transfer; it stops when the last of them leaves, and
    the next one goes on where it stopped.
    """

    name: str


@attrs.frozen
class PushModel:
    """Send a model to the registry in its name. Gives `ModelPushed`. Shared like pulls."""

    name: str


@attrs.frozen
class CreateModel:
    """Make a model of another one, or of blobs that were sent. Gives `ModelStored`."""

    name: str
    origin: str | None = None
    """The model that it is made of; None when it is made of files."""
    files: Mapping[str, Digest] = attrs.field(factory=dict, hash=False)
    """The blobs by the names that they have as files."""
    licenses: tuple[str, ...] = ()
    """Texts; only for a model that is made of files."""


@attrs.frozen
class TagModel:
    """Give a model another name; one that exists moves. Gives `ModelStored`."""

    source: str
    target: str


@attrs.frozen
class RemoveModel:
    """Remove a name, and what no other name needs. Gives `ModelRemoved`."""

    name: str
    force: bool = False
    """Remove all names of the model, and unload it first."""


@attrs.frozen
class LoadModel:
    """Load a model although nobody asks it anything yet. Gives `ModelLoaded`."""

    name: str
    backend: str | None = None
    """Pins the backend by name."""
    keep_alive_s: float | None = None
    """How long it stays loaded when it is idle; unset is what the config says."""


@attrs.frozen
class UnloadModels:
    """Unload models that nobody uses just now. Gives `ModelsUnloaded`."""

    names: tuple[str, ...] | None = None
    """None for all of them. One that is not loaded, or not even here, is no error."""
    backend: str | None = None
    """Only what this backend runs; None for every one."""


@attrs.frozen
class ShowModel:
    """Describe a model. Gives `ModelShown`."""

    name: str


@attrs.frozen
class FindModel:
    """Look a model up, here or where a pull would take it from. Gives `ModelFound`."""

    name: str
    remote: bool = False


@attrs.frozen
class ListModels:
    """List the models that are here. Gives `ModelList`."""


@attrs.frozen
class ListLoaded:
    """List the models that are loaded. Gives `LoadedList`."""


@attrs.frozen
class ListBackends:
    """List the backends that are installed. Gives `BackendList`."""


@attrs.frozen
class MeasureDisk:
    """Add up what the models take. Gives `DiskUsage`."""


@attrs.frozen
class TellVersion:
    """Say which stoker this is. Gives `Version`."""


Command = (
    PullModel
    | PushModel
    | CreateModel
    | TagModel
    | RemoveModel
    | LoadModel
    | UnloadModels
    | ShowModel
    | FindModel
    | ListModels
    | ListLoaded
    | ListBackends
    | MeasureDisk
    | TellVersion
)


def scope_of(command: Command) -> Scope:
    """What a caller needs for a command: what changes models that are here is for `admin`."""
    changes = PushModel | CreateModel | TagModel | RemoveModel | UnloadModels
    return Scope.ADMIN if isinstance(command, changes) else Scope.INFER


class Capability(enum.StrEnum):
    """What a model is made for, as far as its files say."""

    COMPLETION = "completion"
    EMBEDDING = "embedding"
    TOOLS = "tools"
    """Its chat template knows tools."""
    THINKING = "thinking"
    """Its chat template knows a thinking that can be switched or is marked."""
    INSERT = "insert"
    """Its tokenizer has the tokens by which a text is filled in."""


@attrs.frozen
class ModelDetails:
    """A model with what its files say."""

    card: ModelCard
    capabilities: frozenset[Capability] = frozenset()
    chat_template: str | None = None
    license_text: str | None = None
    metadata: Mapping[str, str | int | float | bool | None] = attrs.field(factory=dict, hash=False)
    """What the weights' header says, by its own keys; None stands for what is too long to show."""


@attrs.frozen
class LoadedModel:
    """A loaded model."""

    status: RunnerStatus
    card: ModelCard | None
    """None when its name has been removed or has moved meanwhile."""


@attrs.frozen
class BackendState:
    """An installed backend."""

    name: str
    availability: Availability
    version: str
    """Of the distribution that ships it; empty where that is not known."""


@attrs.frozen
class ModelStored:
    """The model is here, under the name that was asked for."""

    card: ModelCard


@attrs.frozen
class ModelPushed:
    """The registry has the model."""

    digest: Digest


@attrs.frozen
class ModelRemoved:
    """The name is gone, or the names are."""

    removals: tuple[Removal, ...]


@attrs.frozen
class ModelLoaded:
    """The model is loaded, and was perhaps before."""

    load_s: float


@attrs.frozen
class ModelsUnloaded:
    """What was asked for is not loaded any more, as far as nobody uses it."""

    count: int
    """How many runners have ended."""


@attrs.frozen
class ModelShown:
    """What a model is."""

    details: ModelDetails


@attrs.frozen
class ModelFound:
    """A model that is here or in its registry."""

    card: ModelCard
    names: tuple[str, ...]
    """All names that it has here, sorted; none when it is not here."""


@attrs.frozen
class ModelList:
    """All models that are here, sorted by name."""

    cards: tuple[ModelCard, ...]


@attrs.frozen
class LoadedList:
    """All models that are loaded, sorted by name."""

    models: tuple[LoadedModel, ...]


@attrs.frozen
class BackendList:
    """All backends, sorted by name."""

    backends: tuple[BackendState, ...]


@attrs.frozen
class DiskUsage:
    """What the models take on disk; a blob that several need counts once."""

    models_bytes: int


@attrs.frozen
class Version:
    """The version of stoker."""

    text: str


Result = (
    ModelStored
    | ModelPushed
    | ModelRemoved
    | ModelLoaded
    | ModelsUnloaded
    | ModelShown
    | ModelFound
    | ModelList
    | LoadedList
    | BackendList
    | DiskUsage
    | Version
)
CommandEvent = Progress | Loading | Result | Failed


class Management(Protocol):
    """Carries out commands. Called on the event loop; store code runs in worker threads behind."""

    def run(self, command: Command, caller: Caller) -> AsyncGenerator[CommandEvent, None]:
        """Carry out a command.

        The caller needs the scope that `scope_of` names.

        The iterator never raises a `StokerError`: it ends with `Failed`. Whoever stops reading
        closes it (`aclose`), which gives the command up: what nobody else waits for stops.
        """

    async def blob_size(self, digest: Digest, caller: Caller) -> int:
        """How large a blob is that is here, in a model or sent by itself.

        Raises:
            NotFoundError: It is not here.
            AccessDeniedError: The caller lacks the scope `infer`.
        """

    async def keep_blob(self, digest: Digest, chunks: AsyncIterator[bytes], caller: Caller) -> None:
        """Keep a blob for a model that is made of it later; one that is here already is a no-op.

        Args:
            digest: What the bytes hash to; nothing is kept under it before that was checked.
            chunks: The bytes. An error that it raises comes out of here.
            caller: Who sends it.

        Raises:
            IntegrityError: They hash to something else.
            AccessDeniedError: The caller lacks the scope `admin`.
            UnavailableError: There is no room, or no store that keeps blobs.
        """
