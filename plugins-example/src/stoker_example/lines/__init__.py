"""A transport in three files: `plugin` registers it, `transport` serves, `wire` has the JSON."""

from __future__ import annotations
