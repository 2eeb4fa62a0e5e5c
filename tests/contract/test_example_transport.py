"""The lines transport keeps the contract of transports."""

from __future__ import annotations

from stoker_example.lines.contract import TestLines

__all__ = ["TestLines"]
