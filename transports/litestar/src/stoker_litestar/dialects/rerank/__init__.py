"""The rerank API in the form that Jina and Cohere share; OpenAI has none."""

from __future__ import annotations
