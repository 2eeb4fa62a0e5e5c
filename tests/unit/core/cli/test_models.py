"""Pulling, packaging, listing, naming and removing models."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker.formats import FormatRule
from stoker.media_types import Role


def test_package_prints_the_digest(stoker, words_file: Path) -> None:
    """The digest alone is on standard output, progress on standard error."""
    done = stoker("package", "ai/words", "--weights", str(words_file))

    assert 0 == done.code
    assert done.out.startswith("sha256:")
    assert 1 == done.out.count("\n")
    assert "packaging words.txt: 23 B of 23 B" in done.err


def test_quiet_shows_no_progress(stoker, words_file: Path) -> None:
    """`-q` leaves standard error empty."""

    assert "" == stoker("package", "ai/words", "-q", "--weights", str(words_file)).err


def test_package_from_another_model(stoker, model: str) -> None:
    """`--from` takes the files of a model that is here."""
    done = stoker("package", "ai/copy", "--from", model, "--json")

    assert ("ai/copy", "shelf") == (done.document["name"], done.document["store"])


def test_given_files_replace_those_of_the_model(stoker, model: str, tmp_path: Path) -> None:
    """Weights that are given besides `--from` are the ones that are taken."""
    other = tmp_path / "other.txt"
    other.write_text("other")

    done = stoker("package", "ai/copy", "--from", model, "--weights", str(other), "--json")

    assert "1" == done.document["facts"]["parameters"]


def test_package_and_push(stoker, remote: Path, words_file: Path) -> None:
    """`--push` sends the new model to its registry."""
    done = stoker("package", "ai/words", "--weights", str(words_file), "--push")

    assert 0 == done.code
    assert (remote / "docker.io%2Fai%2Fwords%3Alatest.txt").is_file()


def test_what_a_package_cannot_carry_is_refused(stoker, model: str, monkeypatch) -> None:
    """A model with files that it needs and a package cannot hold is not packaged in part."""
    _register_role(monkeypatch, "TOKENIZER")

    done = stoker("package", "ai/copy", "--from", model)

    assert 2 == done.code
    assert "needs docker.io%2Fai%2Fwords%3Alatest.txt (tokenizer)" in done.err


def test_what_a_package_leaves_out_is_said(
    stoker, model: str, words_file: Path, monkeypatch
) -> None:
    """Documents that a package does not carry are named on standard error."""
    _register_role(monkeypatch, "DOC")

    done = stoker("package", "ai/copy", "--from", model, "--weights", str(words_file))

    assert 0 == done.code
    assert "left out docker.io%2Fai%2Fwords%3Alatest.txt (doc)" in done.err


def test_pull_and_push(stoker, remote: Path) -> None:
    """A pulled model is here, and can be sent back; both print the digest."""
    pulled = stoker("pull", "ai/far")
    pushed = stoker("push", "ai/far", "--json")

    assert (0, 0) == (pulled.code, pushed.code)
    assert pulled.out.strip() == pushed.document["digest"]
    assert "ai/far" == stoker("pull", "ai/far", "--json").document["name"]
    assert pulled.out == stoker("push", "ai/far").out


def test_a_model_that_is_nowhere(stoker, remote: Path) -> None:
    """What the registry does not have is not found; what is not here cannot be pushed."""

    assert 3 == stoker("pull", "ai/none").code
    assert 3 == stoker("push", "ai/none").code
    assert 3 == stoker("inspect", "ai/none").code
    assert 3 == stoker("tag", "ai/none", "ai/new").code


def test_list_is_a_table(stoker, model: str) -> None:
    """Every model is one line, whatever the width of the terminal."""
    header, line = stoker("list").out.splitlines()

    assert header.split() == [
        "NAME",
        "DIGEST",
        "SIZE",
        "FORMAT",
        "PARAMETERS",
        "QUANTIZATION",
        "ARCHITECTURE",
        "CONTEXT",
        "STORE",
        "CREATED",
    ]
    assert line.split()[:1] == [model]
    assert ["25", "B", "words", "5", "-", "-", "-", "shelf"] == line.split()[2:10]
    assert line.endswith(" ago")


def test_list_for_programs(stoker, model: str) -> None:
    """`--json` has everything, `-q` the names only, and `ls` is the same command."""
    (document,) = stoker("ls", "--json").document

    assert ("ai/words", "docker.io/ai/words:latest") == (document["name"], document["reference"])
    assert 25 == document["size_bytes"]
    assert "words" == document["facts"]["format"]
    assert "ai/words\n" == stoker("ls", "-q").out


def test_inspect(stoker, model: str) -> None:
    """The manifest, the facts and the layers are shown; markup in them is text."""
    shown = stoker("inspect", model).out
    document = stoker("inspect", model, "--json").document

    assert "test.note:  [a] note" in shown
    assert "application/vnd.stoker.test.faulty" in shown
    (layer,) = document["layers"]
    assert ("weights", "words.txt", 23) == (layer["role"], layer["path"], layer["size_bytes"])
    assert layer["media_type"] == layer["canonical_media_type"]
    assert {"test.note": "[a] note"} == document["annotations"]


def test_inspect_a_model_that_is_not_here(stoker, remote: Path) -> None:
    """`--remote` looks where `pull` would, and fetches nothing."""
    done = stoker("inspect", "ai/far", "--remote", "--json")

    assert "ai/far" == done.document["model"]["name"]
    assert [] == stoker("list", "--json").document


def test_tag_and_rm(stoker, model: str) -> None:
    """A second name keeps the files when the first goes; the last one takes them along."""
    tagged = stoker("tag", model, "ai/second")
    assert tagged.out.startswith("sha256:")

    first = stoker("rm", model)
    assert "untagged ai/words\nfreed 0 B\n" == first.out
    second = stoker("rm", "ai/second", "--json").document
    assert ["ai/second"] == second["untagged"]
    assert [tagged.out.strip()] == second["deleted"]
    assert 25 == second["freed_bytes"]
    assert [] == stoker("list", "--json").document


def test_rm_removes_all_or_nothing(stoker, model: str) -> None:
    """A wrong name among several leaves everything as it is."""
    done = stoker("rm", model, "ai/none")

    assert 3 == done.code
    assert "stoker pull ai/none" in done.err
    assert "ai/words\n" == stoker("ls", "-q").out


def _register_role(monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    """Have the backend's plugin say that its weights are something else."""
    import stoker_faulty  # noqa: PLC0415 - on the path only while a test runs

    rule = FormatRule(Role[role], media_type=stoker_faulty.MEDIA_TYPE)
    monkeypatch.setattr(stoker_faulty, "FormatRule", lambda *_, **__: rule)
