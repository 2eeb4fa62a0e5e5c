"""Values that a model wrote outside of JSON: they become the JSON that the tool's schema means."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Mapping
from typing import Any, NoReturn

_WORDS = {"True": "true", "False": "false", "None": "null"}
_KINDS: dict[type, frozenset[str]] = {
    bool: frozenset({"boolean"}),
    int: frozenset({"integer", "number"}),
    float: frozenset({"number"}),
    str: frozenset({"string"}),
    list: frozenset({"array"}),
    dict: frozenset({"object"}),
    type(None): frozenset({"null"}),
}
_ANY = frozenset().union(*_KINDS.values())
_MAX_DEPTH = 8


def is_text(schema: Any) -> bool:
    """Whether values of a schema are strings, and nothing else."""
    return kinds_of(schema) == {"string"}


def kinds_of(schema: Any, depth: int = _MAX_DEPTH) -> frozenset[str]:
    """The types that JSON Schema's words let a value have; all of them where it does not say."""
    if not isinstance(schema, Mapping) or not depth:
        return _ANY
    kind = schema.get("type")
    if isinstance(kind, str):
        return frozenset({kind})
    if isinstance(kind, list) and kind:
        return frozenset(str(each) for each in kind)
    for word in ("anyOf", "oneOf"):
        options = schema.get(word)
        if isinstance(options, list) and options:
            return frozenset().union(*(kinds_of(each, depth - 1) for each in options))
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list) and values:
        return frozenset().union(*(_KINDS.get(type(value), _ANY) for value in values))
    return _ANY


def as_json(text: str, schema: Any = None) -> str:
    """Write a value as JSON: as what it is where the schema takes that, else as a string."""
    kinds = kinds_of(schema)
    stripped = text.strip()
    stripped = _WORDS.get(stripped, stripped)
    value = _parsed(stripped)
    if value is not _NOTHING and (_KINDS[type(value)] & kinds or "string" not in kinds):
        return stripped
    if value is _NOTHING and "string" not in kinds:
        written = from_python(stripped)
        if written is not None:
            return written
    return json.dumps(text.removesuffix("\n"), ensure_ascii=False)


def from_python(code: str) -> str | None:
    """A literal of Python's as JSON; None when it is none, or nothing that JSON can say."""
    try:
        with warnings.catch_warnings():
            # Of escapes that Python does not know.
            warnings.simplefilter("ignore")
            value = ast.literal_eval(code)
        written = json.dumps(value, ensure_ascii=False, allow_nan=False)
        written.encode()
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    return written


_NOTHING = object()


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError):
        return _NOTHING


def _refused(constant: str) -> NoReturn:
    # Infinity and the like, which Python takes for JSON.
    raise ValueError(constant)
