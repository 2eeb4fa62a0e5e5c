"""Pooling: how the vectors of a text's tokens become one vector or one score."""

from __future__ import annotations

from llama_cpp import llama_cpp as native

from stoker_llama_cpp.metadata import whole_number
from stoker_llama_cpp.model import Model
from stoker_llama_cpp.options import LlamaCppOptions

_BY_NAME: dict[str, int] = {
    "mean": native.LLAMA_POOLING_TYPE_MEAN,
    "cls": native.LLAMA_POOLING_TYPE_CLS,
    "last": native.LLAMA_POOLING_TYPE_LAST,
    "rank": native.LLAMA_POOLING_TYPE_RANK,
}


def pooling_type(model: Model, options: LlamaCppOptions) -> int | None:
    """The `llama_pooling_type` to load a model with; None for models that generate.

    The options come first. Else the model's file says, or says nothing.
    """
    if options.pooling is not None:
        return _BY_NAME[options.pooling]
    found = whole_number(model.handle, f"{model.architecture}.pooling_type")
    return found if found in _BY_NAME.values() else None
