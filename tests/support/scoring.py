"""Whether the tokens of a greedy answer are the best ones, by computing everything again."""

from __future__ import annotations

import numpy as np
from llama_cpp import llama_cpp as native

NEAR_TIE = 1.0
"""How much worse than the best logit a greedy token may score in another batch shape.

Measured with this model: of 8 x 64 tokens 12 were not the best, the worst by 0.47. One token out of
place costs 12, and an answer to another prompt 5 to 15.
"""


def margins(model: int, prompt: tuple[int, ...], answer: list[int]) -> list[float]:
    """How much worse than the best logit each token of an answer is, in a fresh evaluation."""
    tokens = [*prompt, *answer]
    params = native.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = -(-len(tokens) // 256) * 256
    params.n_threads = params.n_threads_batch = 1
    context = native.llama_init_from_model(model, params)
    batch = native.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for index, token in enumerate(tokens):
        batch.token[index], batch.pos[index] = token, index
        batch.n_seq_id[index], batch.seq_id[index][0] = 1, 0
        # The last token's logits are for one that was not answered any more.
        batch.logits[index] = len(prompt) - 1 <= index < len(tokens) - 1
    assert 0 == native.llama_decode(context, batch)
    vocabulary = native.llama_vocab_n_tokens(native.llama_model_get_vocab(model))
    scored = np.ctypeslib.as_array(native.llama_get_logits(context), (len(answer), vocabulary))
    result = scored.max(axis=1) - scored[np.arange(len(answer)), answer]
    native.llama_batch_free(batch)
    native.llama_free(context)
    return [float(margin) for margin in result]
