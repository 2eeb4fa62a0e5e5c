"""Log probabilities of a token and of the best ones in its place."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stoker.engine import SampledToken


def with_logprobs(logits: npt.NDArray[np.float32], token: int, count: int) -> SampledToken:
    """Describe a sampled token by the model's own distribution.

    Args:
        logits: Of the whole vocabulary, as the model gave them.
        token: The token that was sampled.
        count: How many of the best tokens to tell.
    """
    best = float(logits.max())
    total = best + float(np.log(np.exp(logits - best).sum(dtype=np.float64)))
    count = min(count, len(logits))
    top: tuple[tuple[int, float], ...] = ()
    if count:
        ids = np.argpartition(logits, -count)[-count:]
        # By logit, and equal ones by id, which is also how the best token is chosen.
        ids = ids[np.lexsort((ids, -logits[ids]))]
        top = tuple((int(item), float(logits[item]) - total) for item in ids)
    return SampledToken(token, float(logits[token]) - total, top)
