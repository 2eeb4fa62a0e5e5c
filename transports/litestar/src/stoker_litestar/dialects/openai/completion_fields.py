"""What becomes of every field of a text completions request."""

from __future__ import annotations

from stoker_litestar.dialects.fields import FieldTable, honoured, refused
from stoker_litestar.dialects.openai.generation_fields import SHARED_RULES

COMPLETION_FIELDS = FieldTable(
    {
        **SHARED_RULES,
        "prompt": honoured("each of several prompts gets n choices, numbered on"),
        "best_of": refused("use n and choose yourself", harmless=(1,)),
        "echo": honoured(
            "with logprobs those of the prompt's tokens are told, too; engines that cannot do that"
            " refuse it"
        ),
        "logprobs": honoured("up to 20, not only 5"),
        "max_tokens": honoured(
            "unset goes on to the end, not only for 16 tokens; 0 is taken with echo"
        ),
        "suffix": honoured(
            "the answer fills the gap between prompt and suffix; refused by models that were not"
            " trained for it, and beside echo or tokens"
        ),
    }
)
