"""Settings with their origins, as tables and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stoker.cli.output import print_json, print_table

if TYPE_CHECKING:
    from stoker.config.effective import EffectiveSetting


def print_settings(settings: Sequence[EffectiveSetting], *, as_json: bool) -> None:
    """Print them, one a line."""
    if as_json:
        from stoker.cli.wire.settings import SettingDocument

        print_json([SettingDocument.from_domain(item) for item in settings])
        return
    print_table(
        ("SETTING", "VALUE", "FROM"),
        [(item.key, _text(item.value), item.origin) for item in settings],
    )


def _text(value: object) -> str:
    """As TOML has it, nearly: JSON writes all simple values alike."""
    return "unset" if value is None else json.dumps(value, ensure_ascii=False)
