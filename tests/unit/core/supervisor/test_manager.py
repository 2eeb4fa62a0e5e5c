"""Commands, over a store and a backend made for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stoker.application import Application
from stoker.caller import LOCAL, Caller, RequestContext, Scope
from stoker.digest import Digest
from stoker.errors import (
    AccessDeniedError,
    InvalidInputError,
    InvalidReferenceError,
    ModelNotFoundError,
    StokerError,
    UnavailableError,
)
from stoker.events import Failed, Loading
from stoker.host import Host
from stoker.management import (
    BackendList,
    Command,
    CommandEvent,
    CreateModel,
    DiskUsage,
    FindModel,
    ListBackends,
    ListLoaded,
    ListModels,
    LoadedList,
    LoadModel,
    MeasureDisk,
    ModelFound,
    ModelList,
    ModelLoaded,
    ModelPushed,
    ModelRemoved,
    ModelShown,
    ModelStored,
    ModelsUnloaded,
    PullModel,
    PushModel,
    RemoveModel,
    ShowModel,
    TagModel,
    TellVersion,
    UnloadModels,
    Version,
)
from stoker.request import GenerateRequest, TextPrompt
from stoker.store import PackageSource, Progress
from stoker.supervisor.supervisor import supervise
from stoker.version import __version__

SUPPORT = Path(__file__).parents[3] / "support"
READER = Caller("reader", frozenset({Scope.INFER}))
ADMIN = Caller("admin", frozenset({Scope.ADMIN}))


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Application:
    """A home with the model `ai/words`, and a registry with `ai/far`."""
    folders = [str(SUPPORT / "faulty"), str(SUPPORT / "shelf")]
    for folder in folders:
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", ":".join(folders))
    remote = tmp_path / "remote"
    remote.mkdir()
    (remote / "docker.io%2Fai%2Ffar%3Alatest.txt").write_text("far away")
    made = Application.create(
        environ={
            "STOKER_HOME": str(tmp_path / "home"),
            "STOKER_PLUGINS": "faulty,shelf",
            "STOKER_STORES__SHELF__REMOTE": str(remote),
        }
    )
    words = tmp_path / "words.txt"
    words.write_text("one two three")
    name = made.stores.parse("ai/words")
    made.stores.writable(name).package(name, PackageSource((words,)), lambda _: None)
    return made


@pytest.fixture
async def host(application: Application) -> AsyncIterator[Host]:
    async with supervise(application) as made:
        yield made


async def done(host: Host, command: Command, caller: Caller = LOCAL) -> list[CommandEvent]:
    """All events of a command."""
    return [event async for event in host.management.run(command, caller)]


async def names(host: Host) -> list[str]:
    """The models that are here."""
    (listed,) = await done(host, ListModels())
    assert isinstance(listed, ModelList)
    return [card.name for card in listed.cards]


async def test_a_pull_tells_how_far_it_is(host: Host) -> None:
    """Progress comes first, the model last, under the name that was asked for."""
    *progress, last = await done(host, PullModel("far"), READER)

    assert isinstance(last, ModelStored)
    assert "far" == last.card.name
    assert all(isinstance(event, Progress) for event in progress)
    assert progress
    assert ["ai/far", "ai/words"] == await names(host)


async def test_a_push_gives_the_digest(host: Host) -> None:
    """It stands in the registry afterwards, as a look there shows."""
    *_, last = await done(host, PushModel("ai/words"), ADMIN)
    (found,) = await done(host, FindModel("ai/words", remote=True), READER)

    assert isinstance(last, ModelPushed)
    assert isinstance(found, ModelFound)
    assert (last.digest, ("ai/words",)) == (found.card.digest, found.names)


async def test_names_are_given_and_taken(host: Host) -> None:
    """A model is there until its last name is gone."""
    (tagged,) = await done(host, TagModel("ai/words", "team/mine"), ADMIN)
    *_, made = await done(host, CreateModel("team/made", origin="ai/words"), ADMIN)
    (found,) = await done(host, FindModel("team/mine"))
    (removed,) = await done(host, RemoveModel("ai/words"), ADMIN)

    assert isinstance(tagged, ModelStored)
    assert isinstance(made, ModelStored)
    assert tagged.card.digest == made.card.digest
    assert isinstance(found, ModelFound)
    assert ("ai/words", "team/made", "team/mine") == found.names
    assert isinstance(removed, ModelRemoved)
    assert [()] == [removal.deleted for removal in removed.removals]
    assert ["team/made", "team/mine"] == await names(host)


async def test_force_removes_all_names_of_a_loaded_model(host: Host) -> None:
    """It is unloaded first."""
    await done(host, TagModel("ai/words", "team/mine"))
    await done(host, LoadModel("ai/words"))

    (removed,) = await done(host, RemoveModel("team/mine", force=True), ADMIN)

    assert isinstance(removed, ModelRemoved)
    assert 2 == len(removed.removals)
    assert [] == await names(host)
    assert [LoadedList(())] == await done(host, ListLoaded())


async def test_a_model_is_loaded_and_unloaded(host: Host) -> None:
    """Loading is told of; a model that is loaded already is no news."""
    first = await done(host, LoadModel("ai/words", keep_alive_s=float("inf")), READER)
    second = await done(host, LoadModel("ai/words"), READER)
    (loaded,) = await done(host, ListLoaded(), READER)
    (unloaded,) = await done(host, UnloadModels(("words",)), ADMIN)
    (again,) = await done(host, UnloadModels(("words", "ai/none")), ADMIN)

    assert any(isinstance(event, Loading) for event in first)
    assert isinstance(first[-1], ModelLoaded)
    assert [ModelLoaded] == [type(event) for event in second]
    assert isinstance(loaded, LoadedList)
    (model,) = loaded.models
    assert ("ai/words", "faulty") == (model.status.model, model.status.backend)
    assert model.card is not None
    assert [ModelsUnloaded(1), ModelsUnloaded(0)] == [unloaded, again]


async def test_models_of_one_backend_are_unloaded(host: Host) -> None:
    """Those of others stay."""
    await done(host, LoadModel("ai/words"))

    assert [ModelsUnloaded(0)] == await done(host, UnloadModels(backend="other"))
    assert [ModelsUnloaded(1)] == await done(host, UnloadModels(backend="faulty"))


async def test_what_somebody_uses_stays_loaded(host: Host) -> None:
    """An answer under way is not cut off."""
    request = GenerateRequest("ai/words", TextPrompt("hang"))
    answer = host.inference.answer(request, RequestContext(LOCAL))
    await anext(answer)

    assert [ModelsUnloaded(0)] == await done(host, UnloadModels())

    await answer.aclose()


async def test_a_model_is_described(host: Host) -> None:
    """With what is known of it, under the name that was asked for."""
    (shown,) = await done(host, ShowModel("words"), READER)

    assert isinstance(shown, ModelShown)
    assert ("words", "words") == (shown.details.card.name, shown.details.card.facts.format)


async def test_what_is_here_is_told(host: Host) -> None:
    """Backends, sizes and the version."""
    (backends,) = await done(host, ListBackends(), READER)
    (usage,) = await done(host, MeasureDisk(), READER)
    await done(host, TagModel("ai/words", "team/mine"))

    assert isinstance(backends, BackendList)
    assert [("faulty", True)] == [
        (item.name, item.availability.available) for item in backends.backends
    ]
    assert DiskUsage(len("one two three") + 2) == usage
    assert [usage] == await done(host, MeasureDisk(), READER)
    assert [Version(__version__)] == await done(host, TellVersion(), READER)


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (PullModel("ai/none"), ModelNotFoundError),
        (PullModel("a b"), InvalidReferenceError),
        (PushModel("ai/none"), ModelNotFoundError),
        (TagModel("ai/none", "a/b"), ModelNotFoundError),
        (RemoveModel("ai/none"), ModelNotFoundError),
        (LoadModel("ai/none"), ModelNotFoundError),
        (ShowModel("ai/none"), ModelNotFoundError),
        (FindModel("ai/none"), ModelNotFoundError),
        (CreateModel("a/b"), InvalidInputError),
        (CreateModel("a/b", origin="ai/words", licenses=("MIT",)), InvalidInputError),
        (CreateModel("a/b", files={"x": Digest.of(b"")}), UnavailableError),
    ],
)
async def test_failures_are_the_last_event(
    host: Host, command: Command, error: type[StokerError]
) -> None:
    """Nothing is raised, and nothing follows."""
    *_, last = await done(host, command)

    assert isinstance(last, Failed)
    assert isinstance(last.error, error)


@pytest.mark.parametrize(
    "command",
    [
        PushModel("ai/words"),
        CreateModel("a/b", origin="ai/words"),
        TagModel("ai/words", "a/b"),
        RemoveModel("ai/words"),
        UnloadModels(),
    ],
)
async def test_changes_need_the_scope_admin(host: Host, command: Command) -> None:
    """A key that may only ask changes nothing."""
    (failed,) = await done(host, command, READER)

    assert isinstance(failed, Failed)
    assert isinstance(failed.error, AccessDeniedError)
    assert ["ai/words"] == await names(host)


@pytest.mark.parametrize(
    "command", [PullModel("far"), ListModels(), LoadModel("ai/words"), TellVersion()]
)
async def test_asking_needs_the_scope_infer(host: Host, command: Command) -> None:
    """Neither scope includes the other."""
    (failed,) = await done(host, command, ADMIN)

    assert isinstance(failed, Failed)
    assert isinstance(failed.error, AccessDeniedError)


async def test_a_store_that_keeps_no_blobs_says_so(host: Host) -> None:
    """And only callers that may change things hear of it."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    with pytest.raises(UnavailableError):
        await host.management.keep_blob(Digest.of(b"x"), chunks(), ADMIN)
    with pytest.raises(AccessDeniedError):
        await host.management.keep_blob(Digest.of(b"x"), chunks(), READER)
    with pytest.raises(AccessDeniedError):
        await host.management.blob_size(Digest.of(b"x"), ADMIN)
