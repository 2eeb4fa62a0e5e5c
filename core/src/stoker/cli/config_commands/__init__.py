"""The commands below `stoker config`, each a module with `command`."""

from __future__ import annotations
