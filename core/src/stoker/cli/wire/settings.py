"""What `stoker config show --json` prints."""

from __future__ import annotations

from typing import Any, Self

import msgspec

from stoker.config.effective import EffectiveSetting


class SettingDocument(msgspec.Struct, frozen=True):
    """See `stoker.config.effective.EffectiveSetting`."""

    key: str
    value: Any
    origin: str

    @classmethod
    def from_domain(cls, setting: EffectiveSetting) -> Self:
        """Convert for printing."""
        return cls(setting.key, setting.value, setting.origin)
