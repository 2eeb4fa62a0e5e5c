"""Ollama's API, as of its official Python SDK 0.6.3 and its server 0.32."""

from __future__ import annotations
