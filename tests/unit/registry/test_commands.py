"""The commands that look after a store, with the store `oci` in a home of its own."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
from hard_names import MEANT, WRONG

from stoker.cli import main

from .conftest import FakeRegistry


@attrs.frozen
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON that it printed."""
        return msgspec.json.decode(self.out)


Stoker = Callable[..., Done]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home."""
    for name in os.environ:
        if name.startswith("STOKER_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("STOKER_PLUGINS", "registry")
    monkeypatch.setenv("STOKER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "300")
    return tmp_path / "home"


@pytest.fixture
def stoker(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Stoker:
    """Runs a command in this process."""
    del home
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    def run(*arguments: str) -> Done:
        code = main(arguments)
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return run


@pytest.fixture
def weights(home: Path, stoker: Stoker, registry: FakeRegistry) -> Path:
    """The weights' blob of a model that was pulled."""
    manifest = registry.add()
    assert 0 == stoker("pull", "-q", str(registry.reference())).code
    return home / "stores/oci/blobs/sha256" / manifest.layers[0].digest.encoded


def spoil(path: Path) -> None:
    """Change a file, and not its size."""
    path.chmod(0o644)
    path.write_bytes(bytes(path.stat().st_size))


def test_verify(stoker: Stoker, registry: FakeRegistry, weights: Path) -> None:
    """Damage ends with code 1 and is named; a repair ends with 0."""
    assert 0 == stoker("verify").code
    spoil(weights)

    found = stoker("verify", str(registry.reference()))
    assert 1 == found.code
    assert "tiny.gguf of" in found.out
    assert "was changed on disk" in found.out
    assert "stoker verify --repair" in found.out
    assert "verifying tiny.gguf" in found.err
    as_json = stoker("verify", "--json", "-q")
    assert (1, "", False) == (as_json.code, as_json.err, as_json.document["clean"])
    mended = stoker("verify", "--repair", "-q")
    assert 0 == mended.code
    assert "0 damaged, 1 repaired" in mended.out
    assert b"weights" == weights.read_bytes()


def test_verify_names_what_it_cannot_mend(
    stoker: Stoker, registry: FakeRegistry, weights: Path
) -> None:
    """With the registry gone, the code stays 1 and the reason is said."""
    spoil(weights)
    registry.blobs.clear()

    done = stoker("verify", "--repair", "--json", "-q")

    assert 1 == done.code
    assert [False] == [item["repaired"] for item in done.document["damages"]]
    assert "has lost blob" in done.document["damages"][0]["remark"]


def test_verify_a_model_that_is_not_here(stoker: Stoker) -> None:
    """It is not found, as everywhere."""
    assert 3 == stoker("verify", "ai/missing").code


def test_prune(stoker: Stoker, weights: Path) -> None:
    """A dry run tells what then goes."""
    stray = weights.with_name("a" * 64)
    stray.write_bytes(b"12345")

    assert "freed 0 B" in stoker("prune").out
    told = stoker("prune", "--dry-run", "--older-than", "0")
    assert f"would delete sha256:{'a' * 64}\nwould free 5 B\n" == told.out
    assert stray.exists()
    done = stoker("prune", "--older-than", "0", "--json").document
    assert {
        "dry_run": False,
        "deleted": [f"sha256:{'a' * 64}"],
        "leftovers": 0,
        "bundles": 0,
        "freed_bytes": 5,
    } == done
    assert not stray.exists()
    assert weights.exists()


def test_export_and_import(
    stoker: Stoker, registry: FakeRegistry, weights: Path, tmp_path: Path
) -> None:
    """A model goes out into a file, and comes in from it under its name or another one."""
    name, target = str(registry.reference()), tmp_path / "out.tar"
    digest = stoker("list", "--json").document[0]["digest"]

    done = stoker("export", name, str(target))
    assert (0, f"{target}\n") == (done.code, done.out)
    assert "exporting tiny.gguf" in done.err
    assert 5 == stoker("export", "-q", name, str(target)).code
    stoker("rm", name)
    assert not weights.exists()

    assert (0, f"{name}\n", "") == attrs.astuple(stoker("import", "-q", str(target)))
    (model,) = stoker("import", "-q", "--json", "--as", "ai/mine", str(target)).document
    assert ("ai/mine", digest) == (model["name"], model["digest"])
    assert 2 == len(stoker("list", "--json").document)


def test_import_what_is_no_layout(stoker: Stoker, tmp_path: Path) -> None:
    """The code is that of wrong input."""
    (tmp_path / "file").write_bytes(b"no tar")

    assert 2 == stoker("import", str(tmp_path / "file")).code
    assert 2 == stoker("import", str(tmp_path / "missing")).code


COMMANDS = {
    "pull": ("pull", "{}"),
    "push": ("push", "{}"),
    "package": ("package", "{}", "--weights", "FILE"),
    "package from": ("package", "ai/made", "--from", "{}"),
    "inspect": ("inspect", "{}"),
    "tag from": ("tag", "{}", "ai/to"),
    "tag to": ("tag", "ai/from", "{}"),
    "rm": ("rm", "{}"),
    "verify": ("verify", "{}"),
    "export": ("export", "{}", "OUT.tar"),
    "import": ("import", "LAYOUT", "--as", "{}"),
    "why": ("why", "{}"),
    "run": ("run", "{}", "hello"),
}
"""Every command that takes a name, and where."""


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_names_are_refused_by_every_command(
    stoker: Stoker, gguf: Path, tmp_path: Path, command: str, *, thorough: bool
) -> None:
    """The code says that the input is wrong, and nothing was done."""
    places = {"FILE": str(gguf), "OUT.tar": str(tmp_path / "out.tar"), "LAYOUT": str(tmp_path)}
    # In short, each name with some of the commands.
    names = WRONG if thorough else WRONG[list(COMMANDS).index(command) % 3 :: 3]
    for name in names:
        # One that begins like an option is one to the command line, which refuses it by itself.
        done = stoker(*(places.get(word, word.replace("{}", name)) for word in COMMANDS[command]))
        assert 2 == done.code, (name, done.err)

    assert [] == stoker("list", "--json").document


@pytest.mark.parametrize(("name", "complete"), MEANT.items())
def test_every_command_reads_names_alike(
    stoker: Stoker, gguf: Path, tmp_path: Path, name: str, complete: str
) -> None:
    """A model that got its whole name is found by the hard one, whatever is done with it."""
    stoker("package", "-q", complete, "--weights", str(gguf))

    assert complete == stoker("inspect", "--json", name).document["model"]["reference"]
    assert stoker("verify", "-q", "--json", name).document["clean"]
    assert 0 == stoker("export", "-q", name, str(tmp_path / "out.tar")).code
    assert 0 == stoker("tag", name, "ai/copy").code
    assert 0 == stoker("package", "-q", "ai/again", "--from", name).code
    assert 0 == stoker("rm", name).code
    assert 3 == stoker("inspect", name).code
    assert 0 == stoker("import", "-q", str(tmp_path / "out.tar")).code
    assert complete == stoker("inspect", "--json", name).document["model"]["reference"]
    assert 0 == stoker("tag", "ai/copy", name).code
