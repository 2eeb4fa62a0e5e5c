"""Artifacts on their way: to a real registry, through skopeo, and from stoker to stoker."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest
from stoker_process import MODEL, Home, MakeHome, Registry, Server

pytestmark = pytest.mark.model


def _digest(home: Home, name: str) -> str:
    return str(msgspec.json.decode(home.ok("inspect", name, "--json"))["model"]["digest"])


def _skopeo(*arguments: str) -> None:
    subprocess.run(["skopeo", *arguments], check=True, capture_output=True, timeout=120)


@pytest.mark.registry
@pytest.mark.parametrize("form", ["docker", "modelpack"])
def test_push_skopeo_and_pull_keep_the_digest(
    registry: Registry,
    model_home: Home,
    model_file: Path,
    make_home: MakeHome,
    tmp_path: Path,
    *,
    form: str,
) -> None:
    """Pushed, copied to an OCI layout and back by skopeo, it pulls with the same digest."""
    name = f"{registry.host}/bench/smollm2:{form}"
    copy = f"{registry.host}/bench/copy:{form}"
    model_home.ok("package", name, "--weights", str(model_file), "--format", form)
    layout = tmp_path / "layout"

    model_home.ok("push", name)
    _skopeo("copy", "--src-tls-verify=false", f"docker://{name}", f"oci:{layout}:x")
    _skopeo("copy", "--dest-tls-verify=false", f"oci:{layout}:x", f"docker://{copy}")
    other = make_home()
    other.ok("pull", copy)

    assert _digest(model_home, name) == _digest(other, copy)
    assert "Paris" in other.ok(
        "run", copy, "The capital of France is", "--raw", "--temperature", "0", "--max-tokens", "3"
    )


@pytest.mark.registry
def test_skopeo_reads_the_store_in_place(
    registry: Registry, model_home: Home, tmp_path: Path
) -> None:
    """The store is an OCI image layout; its references are the layout's."""
    store = model_home.path / "stores" / "oci"

    _skopeo("copy", f"oci:{store}:docker.io/{MODEL}", f"dir:{tmp_path / 'copy'}")

    assert (tmp_path / "copy" / "manifest.json").is_file()


def test_packaging_twice_gives_the_same_digest(
    model_home: Home, model_file: Path, make_home: MakeHome
) -> None:
    """Nothing of the host or the clock gets into an artifact."""
    other = make_home()

    other.ok("package", "test/again", "--weights", str(model_file))

    assert _digest(model_home, MODEL) == _digest(other, "test/again")


def test_one_stoker_pulls_from_another(server: Server, make_home: MakeHome) -> None:
    """Any server is a registry for others, and the copy is the same and runs."""
    other = make_home()
    name = f"{server.registry}/{MODEL}"

    other.ok("pull", name)

    assert _digest(server.home, MODEL) == _digest(other, name)
    assert name in other.ok("list")
    why = msgspec.json.decode(other.ok("why", name, "--json"))
    assert "llama.cpp" == why["backend"]


@pytest.mark.registry
def test_skopeo_pulls_from_a_running_server(server: Server, registry: Registry) -> None:
    """The server is a registry for other clients: what they copy has the same digest."""
    copy = f"{registry.host}/from-stoker/smollm2:135m"

    _skopeo(
        *("copy", "--src-tls-verify=false", "--dest-tls-verify=false"),
        *(f"docker://{server.registry}/{MODEL}", f"docker://{copy}"),
    )

    assert _digest(server.home, MODEL) == _remote_digest(server.home, copy)


def _remote_digest(home: Home, name: str) -> str:
    document = msgspec.json.decode(home.ok("inspect", name, "--remote", "--json"))
    return str(document["model"]["digest"])


def test_every_spelling_of_a_name_is_one_model(server: Server) -> None:
    """The command line reads names as registries and servers do."""
    home = server.home
    digest = _digest(home, MODEL)

    for name in (
        "smollm2:135m",
        "AI/SmolLM2:135m",
        "docker.io/ai/smollm2:135m",
        "index.docker.io/smollm2:135m",
        "Registry-1.Docker.io/ai/smollm2:135m",
        f"smollm2@{digest}",
    ):
        assert digest == _digest(home, name)


def test_a_model_is_there_until_its_last_name_is_removed(
    model_home: Home, model_file: Path, make_home: MakeHome
) -> None:
    """Names are cheap; blobs go with the last of them."""
    home = make_home()
    home.ok("package", "test/a", "--weights", str(model_file))
    home.ok("tag", "test/a", "test/b")
    blobs = home.path / "stores" / "oci" / "blobs" / "sha256"

    home.ok("rm", "test/a")
    assert model_file.stat().st_size in {blob.stat().st_size for blob in blobs.iterdir()}
    home.ok("rm", "test/b")

    assert [] == list(blobs.iterdir())
    assert "test/a" in home.refused("inspect", "test/a")
