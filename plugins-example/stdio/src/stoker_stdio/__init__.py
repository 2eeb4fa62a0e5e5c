"""A transport over two pipes: `plugin` registers it, `transport` serves, `wire` has the JSON."""

from __future__ import annotations
