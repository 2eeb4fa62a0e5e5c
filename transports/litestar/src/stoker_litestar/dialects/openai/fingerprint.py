"""The `system_fingerprint`: what made an answer besides the model and the seed."""

from __future__ import annotations

from stoker.version import __version__

SYSTEM_FINGERPRINT = f"stoker-{__version__}"
