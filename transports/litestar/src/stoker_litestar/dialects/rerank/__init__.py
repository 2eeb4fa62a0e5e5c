"""Reranking in the form that Jina and Cohere share, and vLLM's scores; OpenAI has neither."""

from __future__ import annotations
