"""The JSON bodies of the rerank and score APIs."""

from __future__ import annotations
