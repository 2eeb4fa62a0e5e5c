"""A listener that records requests: `plugin` registers it, `recorder` writes, `summary` reads."""

from __future__ import annotations
