"""From a bundle or the options to a draft model."""

from __future__ import annotations

import contextlib

import msgspec

from stoker.artifact import ModelBundle
from stoker.backend import LoadProgress
from stoker.errors import LoadError
from stoker_llama_cpp.context import Context
from stoker_llama_cpp.draft_model import DraftModel
from stoker_llama_cpp.draft_weights import draft_paths
from stoker_llama_cpp.model import Model, load_model
from stoker_llama_cpp.options import LlamaCppOptions


def load_draft_model(
    bundle: ModelBundle,
    model: Model,
    context: Context,
    options: LlamaCppOptions,
    progress: LoadProgress,
) -> DraftModel | None:
    """Load the model that guesses for another one.

    Args:
        bundle: May have a file for it.
        model: For which it guesses.
        context: In which that model computes.
        options: May name another file.
        progress: As for any load.

    Returns:
        None when there is none, or when nothing is to be guessed.

    Raises:
        LoadError: It cannot be loaded, or knows other tokens.
        OperationCancelledError: `progress` raised it.
    """
    paths = draft_paths(bundle, options)
    if not paths or not context.speculates:
        return None
    with contextlib.ExitStack() as undo:
        draft = load_model(paths, options, progress)
        undo.callback(draft.close)
        if draft.is_recurrent:
            raise LoadError(
                f"{paths[0].name} cannot guess for another model: its memory cannot be cut back."
            )
        if draft.vocabulary.whole().token_bytes != model.vocabulary.whole().token_bytes:
            raise LoadError(
                f"{paths[0].name} cannot guess for {bundle.reference.familiar}: its tokens are not"
                " the same. Choose a smaller model of the same family."
            )
        own = msgspec.structs.replace(
            options,
            context_length=min(context.context_length, draft.trained_context_length),
            cache_tokens=context.cells,
            prefix_cache=False,
            speculation=False,
        )
        draft_context = Context(draft, own, rewinds=True)
        undo.callback(draft_context.close)
        draft_context.warm_up()
        undo.pop_all()
    return DraftModel(draft, draft_context)
