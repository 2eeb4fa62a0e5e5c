"""What becomes of every field of a request for embeddings."""

from __future__ import annotations

from stoker_litestar.dialects.fields import FieldTable, honoured, no_op

EMBEDDING_FIELDS = FieldTable(
    {
        "model": honoured(),
        "input": honoured(
            "up to 2048 texts or lists of tokens; an empty one, and one that is longer than the"
            " model's context, is refused"
        ),
        "dimensions": honoured(
            "keeps the first so many numbers and scales them to the length 1; refused where the"
            " model is not known to be trained for it, and beyond what there are"
        ),
        "encoding_format": honoured(),
        "user": no_op("a label for the provider's abuse reports"),
    }
)
