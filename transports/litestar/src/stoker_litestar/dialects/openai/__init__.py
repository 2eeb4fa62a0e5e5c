"""The OpenAI APIs, as of the official Python SDK 3.54."""

from __future__ import annotations
