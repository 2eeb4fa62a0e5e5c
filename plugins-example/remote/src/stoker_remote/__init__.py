"""A backend whose models run elsewhere: `plugin` registers it, `engine` asks, `wire` has JSON."""

from __future__ import annotations
