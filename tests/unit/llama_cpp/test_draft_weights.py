"""Where a draft model is."""

from __future__ import annotations

from pathlib import Path

from stoker.artifact import BundleFile, ModelBundle
from stoker.digest import Digest
from stoker.media_types import GGUF, Role
from stoker.reference import Reference
from stoker_llama_cpp.draft_weights import draft_paths
from stoker_llama_cpp.options import LlamaCppOptions

BUNDLE = ModelBundle(
    Reference.parse("test/model"),
    Digest.of(b""),
    (
        BundleFile(Path("model.gguf"), Role.WEIGHTS, GGUF),
        BundleFile(Path("draft.gguf"), Role.DRAFT, GGUF),
    ),
)


def test_the_bundle_may_have_it() -> None:
    """A layer for drafts is taken unless the options name a file."""
    assert [Path("draft.gguf")] == list(draft_paths(BUNDLE, LlamaCppOptions()))


def test_the_options_come_first() -> None:
    """A file that they name is taken, also from the user's home."""
    options = LlamaCppOptions(draft_model="~/small.gguf")

    assert [Path.home() / "small.gguf"] == list(draft_paths(BUNDLE, options))


def test_without_speculation_there_is_none() -> None:
    """Nobody would guess."""
    options = LlamaCppOptions(draft_model="small.gguf", speculation=False)

    assert [] == list(draft_paths(BUNDLE, options))
