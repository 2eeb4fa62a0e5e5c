"""The store against real registries and skopeo: what we write, others read, and back."""

from __future__ import annotations

import base64
import json
import random
import subprocess
from pathlib import Path

import pytest
from debian_registry import debian_registry, free_port
from programs import need, want_oras
from slow_link import Link

from stoker.digest import Digest
from stoker.errors import AccessDeniedError, ModelNotFoundError, TransferError
from stoker.media_types import GGUF
from stoker.reference import Reference
from stoker.store import PackageSource, Progress
from stoker_registry.store import OciStore

from .conftest import MakeStore, ignore

pytestmark = pytest.mark.registry


def skopeo(*arguments: str) -> bytes:
    """Run skopeo; returns what it printed."""
    command = [need("skopeo"), *arguments]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert 0 == done.returncode, done.stderr.decode()
    return done.stdout


def package(store: OciStore, reference: Reference, gguf: Path, form: str = "docker") -> Digest:
    """Package a file under a name."""
    return store.package(reference, PackageSource((gguf,), format=form), ignore).digest


@pytest.mark.parametrize("form", ["docker", "modelpack"])
def test_push_and_pull(make_store: MakeStore, any_registry: str, gguf: Path, form: str) -> None:
    """A pushed model arrives in another store with the same digest and the same bytes."""
    reference = Reference.parse(f"{any_registry}/ai/{form}:v1")
    digest = package(make_store("one"), reference, gguf, form)

    assert digest == make_store("one").push(reference, ignore)
    other = make_store("two")
    assert digest == other.resolve_remote(reference).digest
    artifact = other.pull(reference, ignore)
    assert digest == artifact.digest
    assert gguf.read_bytes() == other.open(artifact).weights[0].read_bytes()
    pinned = Reference.parse(f"{any_registry}/ai/{form}@{digest}")
    assert digest == other.pull(pinned, ignore).digest
    assert digest == make_store("one").push(reference, ignore)


def test_pushed_to_a_second_repository(
    make_store: MakeStore, any_registry: str, gguf: Path
) -> None:
    """Blobs that the registry has in a neighbour are mounted, and the model is whole."""
    store = make_store("one")
    first = Reference.parse(f"{any_registry}/mount/one:v1")
    second = Reference.parse(f"{any_registry}/mount/two:v1")
    digest = package(store, first, gguf)
    store.push(first, ignore)
    store.tag(first, second)

    assert digest == store.push(second, ignore)
    assert digest == make_store("two").pull(second, ignore).digest


def test_missing_models(store: OciStore, any_registry: str) -> None:
    """The registry's 404s are models that are not found."""
    for name in ("ai/missing", f"ai/missing@{Digest.of(b'')}"):
        with pytest.raises(ModelNotFoundError):
            store.pull(Reference.parse(f"{any_registry}/{name}"), ignore)


@pytest.mark.parametrize("form", ["docker", "modelpack"])
def test_skopeo_copies_without_a_change(
    make_store: MakeStore, any_registry: str, gguf: Path, tmp_path: Path, form: str
) -> None:
    """Through skopeo into a layout and back into the registry, the digest stays."""
    reference = Reference.parse(f"{any_registry}/skopeo/{form}:v1")
    digest = package(make_store("one"), reference, gguf, form)
    make_store("one").push(reference, ignore)
    layout = f"oci:{tmp_path / 'layout'}:v1"
    again = Reference.parse(f"{any_registry}/skopeo/{form}:again")

    skopeo("copy", "--src-tls-verify=false", f"docker://{reference}", layout)
    skopeo("copy", "--dest-tls-verify=false", layout, f"docker://{again}")

    assert digest == Digest.of(skopeo("inspect", "--raw", layout))
    assert digest == make_store("two").pull(again, ignore).digest


@pytest.mark.parametrize(
    "name", ["ai/tiny", "reg.example:5000/team/x--y/z_1:V1.0", "localhost/tiny:v1"]
)
def test_skopeo_reads_the_store_in_place(
    store: OciStore, any_registry: str, gguf: Path, tmp_path: Path, name: str
) -> None:
    """Under the whole reference, skopeo finds a model in the store's folder and can copy it."""
    reference = Reference.parse(name)
    digest = package(store, reference, gguf)
    source = f"oci:{tmp_path / 'store'}:{reference}"

    assert digest == Digest.of(skopeo("inspect", "--raw", source))
    target = Reference.parse(f"{any_registry}/in-place/tiny:v1")
    skopeo("copy", "--dest-tls-verify=false", source, f"docker://{target}")
    assert digest == store.pull(target, ignore).digest


def test_oras_reads_the_store_in_place(store: OciStore, gguf: Path, tmp_path: Path) -> None:
    """By its digest, the oras tool finds a model in the store's folder and can copy it."""
    oras = want_oras()
    digest = package(store, Reference.parse("ai/tiny"), gguf)
    source, target = f"{tmp_path / 'store'}@{digest}", f"{tmp_path / 'copy'}:v1"
    copy = (oras, "cp", "--from-oci-layout", source, "--to-oci-layout", target)
    subprocess.run(copy, check=True, capture_output=True, timeout=60)

    (artifact,) = store.import_layout(
        tmp_path / "copy", ignore, name=Reference.parse("ai/from-oras:v1")
    )
    assert digest == artifact.digest


def test_skopeo_reads_a_pinned_model(
    make_store: MakeStore, any_registry: str, gguf: Path, tmp_path: Path
) -> None:
    """A model that was pulled by digest only is found by skopeo too."""
    reference = Reference.parse(f"{any_registry}/ai/pinned:v1")
    digest = package(make_store("one"), reference, gguf)
    make_store("one").push(reference, ignore)
    pinned = Reference.parse(f"{any_registry}/ai/pinned@{digest}")
    make_store("two").pull(pinned, ignore)

    assert digest == Digest.of(skopeo("inspect", "--raw", f"oci:{tmp_path / 'two'}:{pinned}"))


def log_in(docker_config: Path, host: str, login: str) -> None:
    """Write docker's config."""
    auth = base64.b64encode(login.encode()).decode()
    docker_config.write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def test_basic_login(
    make_store: MakeStore, real_registry_with_login: str, docker_config: Path, gguf: Path
) -> None:
    """With the right password a model goes there and back; anonymously or wrongly it does not."""
    reference = Reference.parse(f"{real_registry_with_login}/private/tiny:v1")
    digest = package(make_store("one"), reference, gguf)

    with pytest.raises(AccessDeniedError, match="stoker login"):
        make_store("one").push(reference, ignore)
    log_in(docker_config, real_registry_with_login, "alice:wrong")
    with pytest.raises(AccessDeniedError, match="refused the login of 'alice'"):
        make_store("one").push(reference, ignore)
    log_in(docker_config, real_registry_with_login, "alice:s3cret")
    make_store("one").push(reference, ignore)
    assert digest == make_store("two").pull(reference, ignore).digest
    docker_config.unlink()
    with pytest.raises(AccessDeniedError):
        make_store("three").pull(reference, ignore)


BIG_BYTES = 16 * 1024**2


@pytest.fixture
def big(tmp_path: Path) -> PackageSource:
    """Weights that take several ranges."""
    path = tmp_path / "big.gguf"
    path.write_bytes(random.Random(2).randbytes(BIG_BYTES))
    return PackageSource((path,), media_type=GGUF)


def test_a_registry_that_is_restarted(
    make_store: MakeStore, big: PackageSource, tmp_path: Path
) -> None:
    """When the registry ends in the middle of a pull, the next one fetches what is missing."""
    folder = tmp_path / "registry"
    folder.mkdir()
    port = free_port()
    reference = Reference.parse(f"127.0.0.1:{port}/big/restart:v1")
    slow = make_store("two", max_bandwidth="40 MB/s", connections=2)
    with debian_registry(folder, port=port):
        one = make_store("one")
        digest = one.package(reference, big, ignore).digest
        one.push(reference, ignore)
        weights = one.resolve(reference).manifest.layers[0]
    registry = debian_registry(folder, port=port)
    registry.__enter__()
    is_up = [True]

    def end_it(progress: Progress) -> None:
        if progress.done_bytes > BIG_BYTES // 4 and is_up and is_up.pop():
            registry.__exit__(None, None, None)

    with pytest.raises(TransferError, match=str(port)):
        slow.pull(reference, end_it)
    have_bytes = slow._layout.partials.done_bytes(weights)
    assert 0 < have_bytes < BIG_BYTES

    with debian_registry(folder, port=port) as host, Link(host) as link:
        through_link = Reference.parse(f"{link.host}/big/restart:v1")
        assert digest == make_store("two").pull(through_link, ignore).digest
        assert link.received_bytes < BIG_BYTES - have_bytes + 1024**2


def test_a_push_through_a_link_that_breaks(
    make_store: MakeStore, any_registry: str, big: PackageSource
) -> None:
    """This registry forgets an upload that was cut, so the blob is sent again, and is right."""
    with Link(any_registry, cut_at_sent_bytes=BIG_BYTES // 2) as link:
        reference = Reference.parse(f"{link.host}/big/cut:v1")
        store = make_store("one")
        digest = store.package(reference, big, ignore).digest
        assert digest == store.push(reference, ignore)
        assert BIG_BYTES < link.sent_bytes < 2 * BIG_BYTES

    pulled = make_store("two").pull(Reference.parse(f"{any_registry}/big/cut:v1"), ignore)
    assert digest == pulled.digest
