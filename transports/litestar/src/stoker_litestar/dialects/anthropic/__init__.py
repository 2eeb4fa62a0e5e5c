"""Anthropic's Messages API, as of the official Python SDK 2.14."""

from __future__ import annotations
