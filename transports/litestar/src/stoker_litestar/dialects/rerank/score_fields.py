"""What becomes of every field of a score request."""

from __future__ import annotations

from stoker_litestar.dialects.fields import FieldTable, honoured, no_op, refused

SCORE_FIELDS = FieldTable(
    {
        "model": honoured(),
        "text_1": honoured("a text for all of text_2, or as many as there are there"),
        "text_2": honoured("up to 2048 texts"),
        "truncate_prompt_tokens": refused(
            "nothing is cut off; what is longer than the model's context is an error"
        ),
        "use_activation": refused("scores are always between 0 and 1", harmless=(True,)),
        "user": no_op("a label for the provider's abuse reports"),
    }
)
