"""A backend in two files: `plugin` registers it, `engine` is it."""

from __future__ import annotations
