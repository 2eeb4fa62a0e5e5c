"""The HTTP transport of stoker, and the wire APIs that it ships with."""

from __future__ import annotations
