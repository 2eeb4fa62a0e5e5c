"""A model of the example backend, as files."""

from __future__ import annotations

from pathlib import Path

from stoker.artifact import BundleFile, ModelBundle
from stoker.digest import Digest
from stoker.media_types import Role
from stoker.reference import Reference
from stoker_example.parrot.plugin import PARROT


def parrot_bundle(folder: Path) -> ModelBundle:
    """A parrot with one phrase."""
    path = folder / "polly.parrot"
    path.write_text("*: You said: {text}\n", encoding="utf-8")
    files = (BundleFile(path, Role.WEIGHTS, PARROT),)
    return ModelBundle(Reference.parse("test/polly"), Digest.of(path.read_bytes()), files)
