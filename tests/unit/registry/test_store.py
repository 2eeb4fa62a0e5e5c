"""Tests of `stoker_registry.store` and of the layout below it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from gguf_file import gguf_bytes

from stoker.digest import Digest
from stoker.errors import (
    ConflictError,
    InUseError,
    InvalidArtifactError,
    InvalidDigestError,
    InvalidReferenceError,
    ModelNotFoundError,
    NotFoundError,
    OperationCancelledError,
    TransferError,
    UnavailableError,
)
from stoker.file_lock import FileLock
from stoker.manifest import Manifest
from stoker.media_types import GGUF, Role
from stoker.reference import Reference
from stoker.store import PackageSource, Progress
from stoker.wire.manifest import (
    WireDescriptor,
    WireIndex,
    decode_manifest,
    encode_index,
    encode_manifest,
)
from stoker_registry.layout import ImageLayout
from stoker_registry.store import OciStore

from .conftest import FakeRegistry, Handler, MakeStore, ignore


def blob_files(tmp_path: Path, name: str = "store") -> set[str]:
    """The blobs of a store, by their files."""
    return {path.name for path in (tmp_path / name / "blobs" / "sha256").iterdir()}


def hexes(manifest: Manifest) -> set[str]:
    """The blobs that a manifest needs, itself included."""
    digests = [manifest.config.digest, *(layer.digest for layer in manifest.layers)]
    return {digest.encoded for digest in (*digests, Digest.of(encode_manifest(manifest)))}


def package(store: OciStore, name: str, path: Path) -> Digest:
    """Package a file under a name."""
    return store.package(Reference.parse(name), PackageSource((path,)), ignore).digest


def test_pull_stores_exactly_the_model(
    store: OciStore, registry: FakeRegistry, tmp_path: Path
) -> None:
    """A pull brings manifest, config and layers, and leaves nothing half-written."""
    manifest = registry.add()
    artifact = store.pull(registry.reference(), ignore)

    assert hexes(manifest) == blob_files(tmp_path)
    assert manifest == artifact.manifest
    assert "gguf" == artifact.facts.format
    assert [] == list((tmp_path / "store" / "leases").iterdir())


def test_blobs_that_are_here_are_not_fetched(store: OciStore, registry: FakeRegistry) -> None:
    """A second model costs only the layers that the first has not."""
    registry.add([(GGUF, b"base", "m.gguf")])
    registry.add([(GGUF, b"base", "m.gguf"), (f"{GGUF}.lora", b"new", "l.gguf")], tag="v2")
    store.pull(registry.reference(), ignore)
    registry.seen.clear()
    store.pull(registry.reference("ai/tiny:v2"), ignore)

    paths = [seen.path.rpartition("/")[2] for seen in registry.seen]
    assert str(Digest.of(b"new")) in paths
    assert str(Digest.of(b"base")) not in paths


def test_an_interrupted_pull_goes_on(
    make_store: MakeStore, registry: FakeRegistry, tmp_path: Path
) -> None:
    """Blobs that came whole stay for the next attempt; the model appears when it is whole."""
    store = make_store(connections=1)
    registry.add([(GGUF, b"first", "a.gguf"), (GGUF, b"second", "b.gguf")])
    second = str(Digest.of(b"second"))
    registry.fault("GET", second, lambda handler: handler.cut(b"sec", 6))

    with pytest.raises(TransferError):
        store.pull(registry.reference(), ignore)
    assert [] == list(store.list())
    assert Digest.of(b"first").encoded in blob_files(tmp_path)
    assert Digest.of(b"second").encoded not in blob_files(tmp_path)

    registry.faults.clear()
    registry.seen.clear()
    store.pull(registry.reference(), ignore)
    assert not any(str(Digest.of(b"first")) in seen.path for seen in registry.seen)


@pytest.mark.parametrize("data", [b"W" * 7, b"weight", b"weights!"])
def test_wrong_bytes_never_get_a_name(
    store: OciStore, registry: FakeRegistry, tmp_path: Path, data: bytes
) -> None:
    """A blob that is not what the manifest says appears under no final name."""
    registry.add()
    wanted = Digest.of(b"weights")
    registry.fault("GET", str(wanted), lambda handler: handler.reply(200, data))

    with pytest.raises(InvalidArtifactError):
        store.pull(registry.reference(), ignore)
    assert wanted.encoded not in blob_files(tmp_path)
    assert [] == list(store.list())
    assert [] == list((tmp_path / "store" / "leases").iterdir())


def test_a_wrong_size_in_the_manifest_is_refused(store: OciStore, registry: FakeRegistry) -> None:
    """Registries do not check sizes, so the store does."""
    manifest = json.loads(encode_manifest(registry.add()))
    manifest["layers"][0]["size"] = 8
    registry.add_manifest(json.dumps(manifest).encode())

    with pytest.raises(InvalidArtifactError, match="should have 8 bytes"):
        store.pull(registry.reference(), ignore)


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "sha256:../../../../tmp/evil"},
        {"digest": "sha256:" + "0" * 63 + "/"},
        {"mediaType": "nonsense"},
        {"size": -1},
    ],
)
def test_malformed_manifests_are_refused(
    store: OciStore, registry: FakeRegistry, tmp_path: Path, change: dict[str, object]
) -> None:
    """A digest that is a path, or anything else malformed, is refused before any blob moves."""
    manifest = json.loads(encode_manifest(registry.add()))
    manifest["layers"][0].update(change)
    registry.add_manifest(json.dumps(manifest).encode())

    with pytest.raises(InvalidArtifactError):
        store.pull(registry.reference(), ignore)
    assert set() == blob_files(tmp_path)
    assert not any("/blobs/" in seen.path for seen in registry.seen)


@pytest.mark.parametrize("path", ["/etc/cron.d/x", "../../x", "a\0b"])
def test_escaping_paths_are_refused_before_the_layers(
    store: OciStore, registry: FakeRegistry, path: str
) -> None:
    """An artifact that could not be laid out costs no download."""
    registry.add([(GGUF, b"weights", path)])

    with pytest.raises(InvalidArtifactError, match="no relative path"):
        store.pull(registry.reference(), ignore)
    assert not any(str(Digest.of(b"weights")) in seen.path for seen in registry.seen)


def test_a_malformed_config_is_refused(store: OciStore, registry: FakeRegistry) -> None:
    """A config that cannot be read makes the artifact invalid, not silent."""
    registry.add(config=b"[]")

    with pytest.raises(InvalidArtifactError, match="config"):
        store.pull(registry.reference(), ignore)


def test_an_index_of_one_is_followed(store: OciStore, registry: FakeRegistry) -> None:
    """An index with exactly one manifest leaves no choice; the model is that manifest."""
    manifest = registry.add(tag="inner")
    data = encode_manifest(manifest)
    wire = WireDescriptor(
        "application/vnd.oci.image.manifest.v1+json", str(Digest.of(data)), len(data)
    )
    index = registry.add_manifest(
        encode_index(WireIndex(schema_version=2, manifests=(wire,))), tag="v1", media_type=""
    )

    assert Digest.of(data) == store.pull(registry.reference(), ignore).digest
    pinned = registry.reference(f"ai/tiny@{index}")
    assert Digest.of(data) == store.pull(pinned, ignore).digest
    assert Digest.of(data) == store.resolve(pinned).digest


def test_an_index_within_an_index_is_refused(store: OciStore, registry: FakeRegistry) -> None:
    """Indexes are followed once, not for ever."""
    media_type = "application/vnd.oci.image.index.v1+json"
    data = encode_index(WireIndex(schema_version=2, manifests=()))
    inner = registry.add_manifest(data, tag="inner", media_type=media_type)
    wire = WireDescriptor(media_type, str(inner), len(data))
    registry.add_manifest(encode_index(WireIndex(schema_version=2, manifests=(wire,))))

    with pytest.raises(InvalidArtifactError, match="index within an index"):
        store.pull(registry.reference(), ignore)


def test_foreign_artifacts_are_kept(store: OciStore, registry: FakeRegistry) -> None:
    """An artifact of a kind that nobody here knows is pulled all the same; it says no facts."""
    registry.add([("application/vnd.example", b"x", "x")], config_type="application/vnd.example")
    artifact = store.pull(registry.reference(), ignore)

    assert None is artifact.facts.format
    assert [(Role.OTHER, None)] == [
        (item.role, item.media_type) for item in store.open(artifact).files
    ]


@pytest.mark.parametrize("count", [0, 2])
def test_an_index_of_several_is_not_chosen_from(
    store: OciStore, registry: FakeRegistry, count: int
) -> None:
    """Nothing is picked silently: the error lists what there is."""
    wires = tuple(
        WireDescriptor("application/vnd.oci.image.manifest.v1+json", str(Digest.of(bytes([n]))), 1)
        for n in range(count)
    )
    registry.add_manifest(encode_index(WireIndex(schema_version=2, manifests=wires)))

    with pytest.raises(InvalidArtifactError, match=f"index of {count} manifests"):
        store.pull(registry.reference(), ignore)


def test_resolve_remote_fetches_no_layers(store: OciStore, registry: FakeRegistry) -> None:
    """A look into the registry costs the manifest and the config, and stores nothing."""
    manifest = registry.add()
    artifact = store.resolve_remote(registry.reference())

    assert manifest == artifact.manifest
    assert ("gguf", None) == (artifact.facts.format, artifact.created_s)
    assert not any(str(Digest.of(b"weights")) in seen.path for seen in registry.seen)
    assert [] == list(store.list())


def test_a_pinned_pull_leaves_the_tag_alone(store: OciStore, registry: FakeRegistry) -> None:
    """A model that was pulled by digest is found by digest, and only so."""
    digest = Digest.of(encode_manifest(registry.add()))
    pinned = registry.reference(f"ai/tiny:v1@{digest}")
    artifact = store.pull(pinned, ignore)

    assert pinned == artifact.reference
    assert digest == store.resolve(pinned).digest
    assert digest == store.resolve(registry.reference(f"ai/tiny@{digest}")).digest
    with pytest.raises(ModelNotFoundError):
        store.resolve(registry.reference())


def test_a_moved_tag_is_pulled_again(store: OciStore, registry: FakeRegistry) -> None:
    """A tag that points elsewhere now moves here too."""
    registry.add()
    old = store.pull(registry.reference(), ignore).digest
    registry.add([(GGUF, b"better", "tiny.gguf")])
    new = store.pull(registry.reference(), ignore).digest

    assert old != new
    assert [new] == [artifact.digest for artifact in store.list()]


def test_a_moved_name_leaves_nothing_behind(
    store: OciStore, registry: FakeRegistry, gguf: Path, tmp_path: Path
) -> None:
    """A model whose only name moved away could never be removed again, so it goes at once."""
    registry.add()
    store.open(store.pull(registry.reference(), ignore))
    moved = registry.add([(GGUF, b"better", "tiny.gguf")])
    store.pull(registry.reference(), ignore)
    assert hexes(moved) == blob_files(tmp_path)
    assert [] == list((tmp_path / "store" / "bundles").iterdir())

    package(store, str(registry.reference()), gguf)
    assert not hexes(moved) & blob_files(tmp_path)


def test_a_name_moves_beside_a_damaged_model(
    store: OciStore, registry: FakeRegistry, gguf: Path, tmp_path: Path
) -> None:
    """Another model's damage keeps everything from being deleted, but no name from moving."""
    bad = package(store, "ai/bad", gguf)
    path = tmp_path / "store" / "blobs" / "sha256" / bad.encoded
    path.chmod(0o644)
    path.write_bytes(b"{}")
    old = registry.add()
    store.pull(registry.reference(), ignore)
    registry.add([(GGUF, b"better", "tiny.gguf")])

    artifact = store.pull(registry.reference(), ignore)

    assert artifact == store.resolve(registry.reference())
    assert hexes(old) <= blob_files(tmp_path)


def test_a_damaged_blob_is_fetched_again(
    store: OciStore, registry: FakeRegistry, tmp_path: Path
) -> None:
    """A blob file of the wrong size is not taken for the blob, and a pull repairs it."""
    registry.add()
    artifact = store.pull(registry.reference(), ignore)
    path = tmp_path / "store" / "blobs" / "sha256" / Digest.of(b"weights").encoded
    path.unlink()
    path.write_bytes(b"w")

    with pytest.raises(InvalidArtifactError, match="pull the model again"):
        store.open(artifact)
    store.pull(registry.reference(), ignore)
    assert b"weights" == store.open(artifact).weights[0].read_bytes()


def test_unnamed_shards_get_names(store: OciStore, registry: FakeRegistry) -> None:
    """Layers of Docker's first form have no paths; their order is the order of the shards."""
    registry.add([(GGUF, bytes([number]), None) for number in range(2)])
    bundle = store.open(store.pull(registry.reference(), ignore))

    assert ["model-00001-of-00002.gguf", "model-00002-of-00002.gguf"] == [
        path.name for path in bundle.weights
    ]
    assert [b"\0", b"\1"] == [path.read_bytes() for path in bundle.weights]


def test_a_modelpack_with_a_projector(store: OciStore, registry: FakeRegistry) -> None:
    """ModelPack's one type for all weights is told apart by the config and the file's name."""
    raw = "application/vnd.cncf.model.weight.v1.raw"
    registry.add(
        [(raw, b"m", "gemma.gguf"), (raw, b"p", "mmproj-gemma.gguf")],
        config=b'{"config":{"format":"gguf"},"modelfs":{"type":"layers","diffIds":[]}}',
        config_type="application/vnd.cncf.model.config.v1+json",
    )
    bundle = store.open(store.pull(registry.reference(), ignore))

    assert [(Role.WEIGHTS, GGUF), (Role.PROJECTOR, GGUF)] == [
        (item.role, item.media_type) for item in bundle.files
    ]


def test_tags_share_a_model(store: OciStore, gguf: Path) -> None:
    """A new name shares everything; a name that exists moves."""
    digest = package(store, "ai/a", gguf)
    store.tag(Reference.parse("ai/a"), Reference.parse("reg.example/b:v1"))

    assert [("docker.io/ai/a:latest", digest), ("reg.example/b:v1", digest)] == [
        (str(artifact.reference), artifact.digest) for artifact in store.list()
    ]
    with pytest.raises(ModelNotFoundError):
        store.tag(Reference.parse("ai/missing"), Reference.parse("ai/b"))
    with pytest.raises(InvalidReferenceError):
        store.tag(Reference.parse("ai/a"), Reference.parse(f"ai/b@{digest}"))


def test_tagging_by_digest(store: OciStore, gguf: Path) -> None:
    """A model can be named by its digest, in the repository that has it."""
    digest = package(store, "ai/a", gguf)
    store.tag(Reference.parse(f"ai/a@{digest}"), Reference.parse("ai/b"))

    assert digest == store.resolve(Reference.parse("ai/b")).digest
    with pytest.raises(ModelNotFoundError):
        store.resolve(Reference.parse(f"ai/c@{digest}"))


def test_removing_keeps_what_others_need(
    store: OciStore, registry: FakeRegistry, tmp_path: Path
) -> None:
    """Shared blobs stay until the last name is gone, and the bundle goes with its model."""
    one = registry.add([(GGUF, b"base", "m.gguf")])
    two = registry.add([(GGUF, b"base", "m.gguf"), (GGUF, b"more", "n.gguf")], tag="v2")
    first = store.pull(registry.reference(), ignore)
    second = store.pull(registry.reference("ai/tiny:v2"), ignore)
    store.open(first)
    store.open(second)
    bundles = tmp_path / "store" / "bundles"

    removal = store.remove(registry.reference())

    assert (registry.reference(),) == removal.untagged
    assert hexes(one) - hexes(two) == {digest.encoded for digest in removal.deleted}
    assert len(encode_manifest(one)) == removal.freed_bytes
    assert hexes(two) == blob_files(tmp_path)
    assert [f"sha256-{second.digest.encoded}"] == [path.name for path in bundles.iterdir()]
    assert b"base" == store.open(second).weights[0].read_bytes()

    store.remove(registry.reference("ai/tiny:v2"))
    assert set() == blob_files(tmp_path)
    assert [] == list(bundles.iterdir())


def test_removing_one_of_two_names_frees_nothing(store: OciStore, gguf: Path) -> None:
    """As long as a name is left, the model is."""
    package(store, "ai/a", gguf)
    store.tag(Reference.parse("ai/a"), Reference.parse("ai/b"))
    removal = store.remove(Reference.parse("ai/a"))

    assert ((), 0) == (removal.deleted, removal.freed_bytes)
    assert store.open(store.resolve(Reference.parse("ai/b"))).weights


def test_removing_by_digest(store: OciStore, gguf: Path) -> None:
    """A digest removes the one name that it has; among several it does not choose."""
    digest = package(store, "ai/a:one", gguf)
    store.tag(Reference.parse("ai/a:one"), Reference.parse("ai/a:two"))

    with pytest.raises(ConflictError, match=r"ai/a:one, docker\.io/ai/a:two"):
        store.remove(Reference.parse(f"ai/a@{digest}"))
    store.remove(Reference.parse("ai/a:two"))
    removal = store.remove(Reference.parse(f"ai/a@{digest}"))

    assert (Reference.parse("ai/a:one"),) == removal.untagged
    assert [] == list(store.list())


def test_removing_spares_a_running_pull(
    make_store: MakeStore, registry: FakeRegistry, tmp_path: Path
) -> None:
    """Blobs that another process relies on, new or old, survive a collection."""
    registry.add([(GGUF, b"shared", "a.gguf")])
    registry.add([(GGUF, b"shared", "a.gguf"), (GGUF, b"late", "b.gguf")], tag="v2")
    store, other = make_store(), make_store()
    store.pull(registry.reference(), ignore)

    def remove_meanwhile(handler: Handler) -> bool:
        other.remove(registry.reference())
        assert Digest.of(b"shared").encoded in blob_files(tmp_path)
        return False

    registry.fault("GET", str(Digest.of(b"late")), remove_meanwhile)
    artifact = store.pull(registry.reference("ai/tiny:v2"), ignore)

    assert [b"shared", b"late"] == [path.read_bytes() for path in store.open(artifact).weights]
    assert [artifact.reference] == [item.reference for item in store.list()]


def test_removing_spares_a_running_packaging(
    make_store: MakeStore, gguf: Path, tmp_path: Path
) -> None:
    """A layer that was copied already survives a collection before the model has its name."""
    store, other = make_store(), make_store()
    package(other, "ai/other", gguf)
    license_file = tmp_path / "LICENSE"
    license_file.write_text("free")

    def remove_meanwhile(progress: Progress) -> None:
        if progress.item == "LICENSE" and progress.done_bytes == 0:
            other.remove(Reference.parse("ai/other"))

    artifact = store.package(
        Reference.parse("ai/mine"),
        PackageSource((gguf,), licenses=(license_file,)),
        remove_meanwhile,
    )

    assert gguf.read_bytes() == store.open(artifact).weights[0].read_bytes()


def test_a_damaged_model_blocks_collection_until_it_is_removed(
    store: OciStore, gguf: Path, tmp_path: Path
) -> None:
    """What an unreadable manifest needs is unknown, so nothing is deleted on its account."""
    package(store, "ai/good", gguf)
    other = tmp_path / "other.gguf"
    other.write_bytes(gguf_bytes(padding=b"x"))
    bad = package(store, "ai/bad", other)
    path = tmp_path / "store" / "blobs" / "sha256" / bad.encoded
    path.chmod(0o644)
    path.write_bytes(b"{}")
    before = blob_files(tmp_path)

    assert ["docker.io/ai/good:latest"] == [str(item.reference) for item in store.list()]
    with pytest.raises(InvalidArtifactError, match=r"ai/bad.*remove that model first"):
        store.remove(Reference.parse("ai/good"))
    assert before == blob_files(tmp_path)
    store.remove(Reference.parse("ai/bad"))
    store.remove(Reference.parse("ai/good"))
    assert set() == blob_files(tmp_path)


def test_leftovers_are_collected(store: OciStore, gguf: Path, tmp_path: Path) -> None:
    """A blob that no name and no lease needs goes with the next removal; foreign files stay."""
    package(store, "ai/a", gguf)
    blobs = tmp_path / "store" / "blobs" / "sha256"
    (blobs / Digest.of(b"left").encoded).write_bytes(b"left")
    (blobs / "NOTES").touch()

    assert Digest.of(b"left") in store.remove(Reference.parse("ai/a")).deleted
    assert {"NOTES"} == blob_files(tmp_path)


def test_entries_of_other_tools_keep_their_blobs(
    store: OciStore, gguf: Path, tmp_path: Path
) -> None:
    """An index that another tool named protects its manifests; it is just no model here."""
    digest = package(store, "ai/a", gguf)
    layout = ImageLayout.open(tmp_path / "store")
    (entry,) = layout.names.entries()
    index = encode_index(
        WireIndex(
            schema_version=2, manifests=(entry.wire, WireDescriptor("a/b", str(Digest.of(b"?")), 1))
        )
    )
    layout.blobs.path(Digest.of(index)).write_bytes(index)
    wire = WireDescriptor(
        "application/vnd.oci.image.index.v1+json", str(Digest.of(index)), len(index)
    )
    layout.names.write((entry, type(entry).from_wire(wire)))

    assert ((), 0) == (store.remove(Reference.parse("ai/a")).deleted, 0)
    assert digest.encoded in blob_files(tmp_path)
    assert [] == list(store.list())


TAG = """
import sys
from pathlib import Path
from stoker.formats import FormatTable
from stoker.reference import Reference
from stoker.store import StoreContext
from stoker_registry.options import OciOptions
from stoker_registry.store import OciStore
store = OciStore(StoreContext(Path(sys.argv[1]), OciOptions(), FormatTable.of()))
for number in range(20):
    store.tag(Reference.parse("ai/a"), Reference.parse(f"ai/a:{sys.argv[2]}-{number}"))
"""


def test_processes_tag_at_the_same_time(store: OciStore, gguf: Path, tmp_path: Path) -> None:
    """No name is lost when several processes change the index at once."""
    package(store, "ai/a", gguf)
    processes = [
        subprocess.Popen([sys.executable, "-c", TAG, str(tmp_path / "store"), name])
        for name in ("one", "two")
    ]
    for process in processes:
        assert 0 == process.wait(60)

    assert {"latest", *(f"{who}-{n}" for who in ("one", "two") for n in range(20))} == set(
        store.tags("ai/a")
    )


def test_a_locked_store_is_not_waited_for_forever(gguf: Path, tmp_path: Path) -> None:
    """Whoever cannot get the lock in time is told that it is in use."""
    layout = ImageLayout.open(tmp_path / "store", lock_timeout_s=0.05)

    with (
        FileLock(tmp_path / "store" / "lock").hold(),
        pytest.raises(InUseError),
        layout.leases.take(),
    ):
        pass


def test_push(make_store: MakeStore, registry: FakeRegistry, gguf: Path) -> None:
    """A pushed model arrives byte for byte, and another store gets the same digest."""
    store = make_store()
    reference = registry.reference("me/tiny:v1")
    digest = package(store, str(reference), gguf)
    seen: list[Progress] = []

    assert digest == store.push(reference, seen.append)
    assert digest == make_store("other").pull(reference, ignore).digest
    assert {"pushing"} == {progress.stage for progress in seen}
    methods = [request.method for request in registry.seen]
    assert methods.index("PUT") < len(methods)
    store.push(reference, ignore)


def test_a_push_can_be_given_up(store: OciStore, registry: FakeRegistry, gguf: Path) -> None:
    """An exception out of the progress callback ends a push, and the model gets no name there."""

    def give_up(progress: Progress) -> None:
        if progress.done_bytes:
            raise OperationCancelledError("Nobody waits any more.")

    package(store, str(registry.reference()), gguf)
    with pytest.raises(OperationCancelledError):
        store.push(registry.reference(), give_up)
    assert {} == registry.manifests


def test_push_mounts_what_a_neighbour_has(
    store: OciStore, registry: FakeRegistry, gguf: Path
) -> None:
    """A blob of another repository of the same registry is offered for mounting."""
    package(store, str(registry.reference("me/one:v1")), gguf)
    package(store, str(registry.reference("me/two:v1")), gguf)
    store.push(registry.reference("me/two:v1"), ignore)

    posts = [seen.path for seen in registry.seen if seen.method == "POST"]
    assert posts
    assert all("from=me%2Fone" in path for path in posts)


def test_pushing_what_is_not_here(
    store: OciStore, registry: FakeRegistry, gguf: Path, tmp_path: Path
) -> None:
    """A missing model, and one with a missing blob, are refused before anything is sent."""
    with pytest.raises(ModelNotFoundError):
        store.push(registry.reference(), ignore)
    package(store, str(registry.reference()), gguf)
    (tmp_path / "store" / "blobs" / "sha256" / Digest.of(gguf.read_bytes()).encoded).unlink()
    with pytest.raises(InvalidArtifactError, match="lost blob"):
        store.push(registry.reference(), ignore)
    assert [] == registry.seen


def test_content_source(store: OciStore, registry: FakeRegistry) -> None:
    """Manifests, blobs and tags are offered under the repository's name, with or without host."""
    manifest = registry.add()
    digest = store.pull(registry.reference(), ignore).digest
    for name in ("ai/tiny", f"{registry.host}/ai/tiny"):
        stored = store.manifest(name, "v1")

        assert (digest, encode_manifest(manifest)) == (stored.digest, stored.data)
        assert stored == store.manifest(name, str(digest))
        assert manifest == decode_manifest(stored.data)
        assert b"weights" == store.blob(name, Digest.of(b"weights")).read_bytes()
        assert store.blob(name, manifest.config.digest).exists()
        assert ["v1"] == store.tags(name)


def test_content_that_is_not_offered(store: OciStore, registry: FakeRegistry, gguf: Path) -> None:
    """Only what a manifest of the very repository names can be had."""
    registry.add()
    store.pull(registry.reference(), ignore)
    package(store, "ai/other", gguf)

    with pytest.raises(ModelNotFoundError):
        store.manifest("ai/tiny", "v2")
    with pytest.raises(ModelNotFoundError):
        store.manifest("ai/missing", "v1")
    with pytest.raises(ModelNotFoundError):
        store.manifest("ai/other", str(store.resolve(registry.reference()).digest))
    with pytest.raises(InvalidDigestError):
        store.manifest("ai/tiny", "sha256:../../etc/passwd")
    with pytest.raises(NotFoundError):
        store.blob("ai/other", Digest.of(b"weights"))
    with pytest.raises(ModelNotFoundError):
        store.tags("ai")


def test_a_name_in_several_registries(store: OciStore, gguf: Path) -> None:
    """Without a host, Docker Hub's repository is meant; else the only one; else none."""
    package(store, "a.example/x/m:one", gguf)
    assert ["one"] == store.tags("x/m")
    package(store, "b.example/x/m:two", gguf)
    with pytest.raises(ModelNotFoundError, match=r"a\.example, b\.example"):
        store.tags("x/m")
    package(store, "docker.io/x/m:hub", gguf)
    assert ["hub"] == store.tags("x/m")
    assert ["two"] == store.tags("b.example/x/m")


def test_a_full_disk(
    store: OciStore, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the file system becomes a sentence that names the store."""
    registry.add()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnavailableError, match="No space left on device"):
        store.pull(registry.reference(), ignore)
    monkeypatch.undo()
    assert [] == list(store.list())


def test_a_folder_that_cannot_be_made(make_store: MakeStore, tmp_path: Path) -> None:
    """A file in the folder's place is reported as it is."""
    (tmp_path / "file").touch()

    with pytest.raises(UnavailableError, match="file/store"):
        make_store("file/store")
