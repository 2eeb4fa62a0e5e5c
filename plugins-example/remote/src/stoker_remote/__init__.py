"""A backend whose models run elsewhere: `plugin` registers it, `engine` asks, `wire` has the JSON."""

from __future__ import annotations
