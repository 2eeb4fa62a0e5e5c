"""OpenAI's Responses API, as of the official Python SDK 3.54, and what Open Responses adds."""

from __future__ import annotations
