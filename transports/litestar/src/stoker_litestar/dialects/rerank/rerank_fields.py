"""What becomes of every field of a rerank request."""

from __future__ import annotations

from stoker_litestar.dialects.fields import FieldTable, honoured, no_op, refused

_WHOLE = "documents are read whole, and what is longer than the model's context is an error"

RERANK_FIELDS = FieldTable(
    {
        "model": honoured(),
        "query": honoured(),
        "documents": honoured("up to 2048 texts, or objects with a text"),
        "top_n": honoured("unset, and more than there are, gives all"),
        "return_documents": honoured("unset leaves the texts out, as Cohere does"),
        "max_chunks_per_doc": refused(_WHOLE),
        "max_tokens_per_doc": refused(_WHOLE),
        "priority": no_op("a hint to the provider's queue"),
        "rank_fields": refused("a document is one text: join its fields yourself"),
        "return_embeddings": refused("a reranker makes none", harmless=(False,)),
        "truncation": refused(_WHOLE, harmless=(False,)),
        "user": no_op("a label for the provider's abuse reports"),
    }
)
