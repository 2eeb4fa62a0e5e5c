"""What crosses a process or file border, as msgspec Structs with conversions beside them."""

from __future__ import annotations
