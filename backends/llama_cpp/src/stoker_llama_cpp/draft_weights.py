"""Where the weights of a draft model are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stoker.artifact import ModelBundle
from stoker.media_types import Role
from stoker_llama_cpp.options import LlamaCppOptions


def draft_paths(bundle: ModelBundle, options: LlamaCppOptions) -> Sequence[Path]:
    """The files of the model that guesses for another one.

    Returns:
        What the options name, else what the bundle has; none when nothing is to be guessed.
    """
    if not options.speculation:
        return ()
    if options.draft_model is None:
        return bundle.paths(Role.DRAFT)
    return (Path(options.draft_model).expanduser(),)
