"""The commands below `stoker plugins`, each a module with `command`."""

from __future__ import annotations
