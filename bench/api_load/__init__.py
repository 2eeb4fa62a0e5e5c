"""A load for the HTTP APIs, and what it finds."""

from __future__ import annotations
