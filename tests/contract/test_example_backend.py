"""The parrot keeps the contracts of text engines and of backends."""

from __future__ import annotations

from stoker_example.parrot.contract import TestParrot, TestParrotBackend

__all__ = ["TestParrot", "TestParrotBackend"]
