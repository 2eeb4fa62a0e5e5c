"""Tests of `stoker_registry.mirrors`."""

from __future__ import annotations

import pytest

from stoker.errors import ConfigError, ModelNotFoundError
from stoker.reference import Reference
from stoker_registry.mirrors import mirrored
from stoker_registry.options import HostOptions, OciOptions

from .conftest import FakeRegistry, MakeStore, ignore


def test_names_in_mirrors() -> None:
    """A mirror has the same names, behind a prefix where it has one."""
    hosts = {"docker.io": HostOptions(mirrors=("m.example", "n.example:5000/hub/"))}

    assert [
        "m.example/ai/x:v1",
        "n.example:5000/hub/ai/x:v1",
        "docker.io/ai/x:v1",
    ] == [str(item) for item in mirrored(Reference.parse("x:v1"), OciOptions(hosts=hosts))]


@pytest.mark.parametrize("mirror", ["", "https://", "a b", "m.example/UP per", "m.example/../x"])
def test_what_is_no_mirror(mirror: str) -> None:
    """The setting is named."""
    options = OciOptions(hosts={"docker.io": HostOptions(mirrors=(mirror,))})

    with pytest.raises(ConfigError, match=r'hosts\."docker\.io"\.mirrors'):
        mirrored(Reference.parse("x"), options)


def test_a_mirror_comes_first(
    make_store: MakeStore, registry: FakeRegistry, other_registry: FakeRegistry
) -> None:
    """What a mirror has is read there, and stands under the name that was asked for."""
    other_registry.add()
    hosts = {registry.host: HostOptions(mirrors=(other_registry.host,))}
    store = make_store(hosts=hosts)

    artifact = store.pull(registry.reference(), ignore)

    assert registry.reference() == artifact.reference
    assert [artifact] == list(store.list())
    assert artifact.digest == store.resolve_remote(registry.reference()).digest
    assert [] == registry.seen


def test_a_mirror_that_fails_is_passed_over(
    make_store: MakeStore, registry: FakeRegistry, other_registry: FakeRegistry
) -> None:
    """A mirror that lacks the model, sends other bytes or is gone is no end."""
    manifest = registry.add()
    other_registry.add()
    layer = str(manifest.layers[0].digest)
    other_registry.blobs[layer] = b"WEIGHTS"
    hosts = {registry.host: HostOptions(mirrors=("127.0.0.1:1", other_registry.host))}
    store = make_store(hosts=hosts)

    artifact = store.pull(registry.reference(), ignore)

    assert b"weights" == store.open(artifact).weights[0].read_bytes()
    with pytest.raises(ModelNotFoundError, match=registry.host):
        store.pull(registry.reference("ai/absent"), ignore)


def test_nothing_is_pushed_to_a_mirror(
    make_store: MakeStore, registry: FakeRegistry, other_registry: FakeRegistry
) -> None:
    """What is written goes to the registry in the name."""
    other_registry.add()
    hosts = {registry.host: HostOptions(mirrors=(other_registry.host,))}
    store = make_store(hosts=hosts)
    artifact = store.pull(registry.reference(), ignore)
    other_registry.seen.clear()

    assert artifact.digest == store.push(registry.reference(), ignore)
    assert [] == other_registry.seen
