"""Whether a model makes embeddings, by the files that sentence-transformers puts beside it."""

from __future__ import annotations

from stoker.errors import UnsupportedFeatureError
from stoker_mlx.model_files import ModelFiles
from stoker_mlx.options import Pooling

_FILE = "1_Pooling/config.json"
_MODES: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "last",
}


def pooling_of(files: ModelFiles) -> Pooling | None:
    """How a model's token vectors become one; None when it is no model for embeddings.

    Raises:
        UnsupportedFeatureError: It pools in another way than MLX models can here.
    """
    settings = files.json(_FILE)
    chosen = [key for key, value in settings.items() if key.startswith("pooling_mode_") and value]
    if not chosen:
        return None
    if len(chosen) == 1 and chosen[0] in _MODES:
        return _MODES[chosen[0]]
    raise UnsupportedFeatureError(
        f"{files.name} pools by {', '.join(chosen)}, but the backend mlx only knows the mean and"
        " the last token."
    )
