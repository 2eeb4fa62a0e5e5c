"""The documents that `--json` prints. Keys are stable: they are only ever added to."""

from __future__ import annotations
