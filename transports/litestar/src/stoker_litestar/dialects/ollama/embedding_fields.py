"""What becomes of every field of requests for embeddings."""

from __future__ import annotations

from stoker_litestar.dialects.fields import FieldRule, FieldTable, honoured, refused

_SHARED: dict[str, FieldRule] = {
    "model": honoured(),
    "options": honoured("see the table of options; those of sampling are without meaning here"),
    "keep_alive": honoured("as in chat"),
}

EMBED_FIELDS = FieldTable(
    {
        **_SHARED,
        "input": honoured("up to 2048 texts; an empty list only loads the model"),
        "truncate": refused(
            "nothing is cut off: a text that is longer than the model's context is an error",
            harmless=(False,),
        ),
        "dimensions": honoured(
            "keeps the first so many numbers; refused where the model is not known to be trained"
            " for it"
        ),
    }
)

EMBEDDINGS_FIELDS = FieldTable(
    {**_SHARED, "prompt": honoured("the vector is not scaled; an empty one only loads the model")}
)
