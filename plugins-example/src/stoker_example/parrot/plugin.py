"""What stoker reads of this backend: its options, its weight format and its record.

This module is imported by every stoker process, `stoker --help` included. Keep it cheap: the
standard library, msgspec and stoker only. Your engine's library is imported in `load`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec

import stoker
from stoker.artifact import ModelBundle
from stoker.backend import BackendSpec, LoadProgress, always_available
from stoker.engine import TextEngine
from stoker.formats import FormatRule
from stoker.media_types import MediaType, Role

# A weight format of your own needs a media type of your own; a backend for a format that exists
# names that one instead (`stoker.media_types.GGUF`) and registers no format rules.
PARROT = MediaType("application/vnd.stoker.example.parrot.v1")


class ParrotOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[backends."example.parrot"]` table of the config; stoker decodes and checks it."""

    repeat: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    """How often every answer is said."""
    words_per_second: Annotated[float, msgspec.Meta(ge=1)] | None = None
    """Speaking speed; None speaks as fast as the program runs."""


def load(bundle: ModelBundle, options: msgspec.Struct, progress: LoadProgress) -> TextEngine:
    """Load a parrot; see `stoker.backend.LoadEngine`.

    Raises:
        LoadError: The weights file is no parrot.
    """
    # A real backend imports its library here, by way of the module that needs it.
    from stoker_example.parrot.engine import ParrotEngine, read_phrases  # noqa: PLC0415

    progress("reading phrases", None)
    phrases = [phrase for path in bundle.weights for phrase in read_phrases(path)]
    return ParrotEngine(phrases, msgspec.convert(options, ParrotOptions, from_attributes=True))


@stoker.hookimpl
def stoker_register_backends() -> Iterable[BackendSpec]:
    """Offer the parrot."""
    return [
        BackendSpec(
            name="example.parrot",
            media_types=(PARROT,),
            load=load,
            # A backend that needs a library looks for it here with `importlib.util.find_spec`,
            # which imports nothing, and gives a reason that tells what to install.
            probe=always_available,
            options_type=ParrotOptions,
        )
    ]


@stoker.hookimpl
def stoker_register_formats() -> Iterable[FormatRule]:
    """Say which layers of an artifact are parrots."""
    return [
        FormatRule(Role.WEIGHTS, media_type=PARROT),
        # ModelPack has one media type for weights of every kind; there the file's name decides.
        FormatRule(
            Role.WEIGHTS,
            canonical=PARROT,
            media_type="application/vnd.cncf.model.weight.v1.raw",
            path="*.parrot",
        ),
    ]
