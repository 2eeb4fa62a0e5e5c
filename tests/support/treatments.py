"""What a dialect's table says of a field, held against what decoding does with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stoker.errors import UnsupportedFeatureError
from stoker_litestar.dialects.fields import FieldTable, Treatment


def check_treatment(
    call: Callable[[dict[str, Any]], object],
    table: FieldTable,
    name: str,
    values: dict[str, Any],
    *,
    path: str = "",
) -> None:
    """Honoured fields change the call, refused ones are named errors, no-ops change nothing.

    Args:
        call: Decodes a body with these fields, and gives what it means.
        table: The fields of the route.
        name: The field.
        values: A value for it, and for fields that it needs beside.
        path: Where the fields stand in the body, with a dot at the end.
    """
    beside = {key: value for key, value in values.items() if key != name}
    match table[name].treatment:
        case Treatment.HONOURED:
            assert call(values) != call(beside)
        case Treatment.NO_OP:
            assert call(values) == call(beside)
        case Treatment.REFUSED:
            with pytest.raises(UnsupportedFeatureError, match=f"^{path}{name}: ") as caught:
                call(values)
            assert path + name == caught.value.param
