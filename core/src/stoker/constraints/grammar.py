"""Grammars: every kind of constraint in the language of llguidance, a dialect of Lark.

The language: https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
"""

from __future__ import annotations

import json
from typing import Any

from stoker.errors import InvalidRequestError
from stoker.request import Constraint, ConstraintKind

MAX_SOURCE_CHARS = 100_000
"""Longer sources take seconds to compile, in which the other requests wait."""

# No white space between the parts of JSON: small models that may write blanks write them for ever.
_JSON_OPTIONS = {"whitespace_flexible": False}


def grammar_of(constraint: Constraint) -> str:
    """Write a constraint as a grammar. Whether it can be honoured shows when it is compiled.

    Raises:
        InvalidRequestError: The source is too long, or is not in the language of its kind.
    """
    source = constraint.source
    if len(source) > MAX_SOURCE_CHARS:
        raise InvalidRequestError(
            f"{constraint.param} has {len(source)} characters, but at most {MAX_SOURCE_CHARS} are"
            " compiled.",
            param=constraint.param,
        )
    match constraint.kind:
        case ConstraintKind.JSON_OBJECT:
            rules = _schema({"type": "object"})
        case ConstraintKind.JSON_SCHEMA:
            rules = _schema(_json(constraint, (dict, bool), "a JSON object or boolean"))
        case ConstraintKind.REGEX:
            rules = _regex(source)
        case ConstraintKind.CHOICE:
            rules = _choice(constraint)
        case ConstraintKind.LARK:
            rules = source
        case ConstraintKind.GBNF:
            rules = _gbnf(constraint)
    _check_characters(constraint, rules)
    return rules


def _check_characters(constraint: Constraint, rules: str) -> None:
    # A library in C reads them: it would stop at a zero.
    if "\0" in rules:
        raise InvalidRequestError(
            f"{constraint.param} has the character U+0000: write it as an escape.",
            param=constraint.param,
        )
    try:
        rules.encode()
    except UnicodeEncodeError as exc:
        raise InvalidRequestError(
            f"{constraint.param} is no valid Unicode: it has half of a surrogate pair.",
            param=constraint.param,
        ) from exc


def _json(constraint: Constraint, kinds: type | tuple[type, ...], wanted: str) -> Any:
    try:
        value = json.loads(constraint.source)
    except (ValueError, RecursionError) as exc:
        raise InvalidRequestError(
            f"{constraint.param} is no JSON: {exc}.", param=constraint.param
        ) from exc
    if not isinstance(value, kinds):
        raise InvalidRequestError(f"{constraint.param} must be {wanted}.", param=constraint.param)
    return value


def _schema(schema: dict[str, Any] | bool) -> str:
    if schema is True:
        schema = {}
    if isinstance(schema, dict):
        # A schema may carry options of its own under this key; those go first.
        options = schema.get("x-guidance", {})
        if isinstance(options, dict):
            schema = schema | {"x-guidance": _JSON_OPTIONS | options}
    return f"start: %json {json.dumps(schema)}"


def _regex(source: str) -> str:
    from llguidance import regex_to_lark

    # Two slashes would begin a comment.
    return f"start: /{regex_to_lark(source)}/" if source else 'start: ""'


def _choice(constraint: Constraint) -> str:
    choices = _json(constraint, list, "a JSON array of strings")
    if not choices or not all(isinstance(choice, str) for choice in choices):
        raise InvalidRequestError(
            f"{constraint.param} must be a JSON array of strings, with one at least.",
            param=constraint.param,
        )
    return "start: CHOICE\nCHOICE: " + " | ".join(map(json.dumps, choices))


def _gbnf(constraint: Constraint) -> str:
    from llguidance.gbnf_to_lark import gbnf_to_lark

    try:
        return gbnf_to_lark(constraint.source)
    except Exception as exc:
        # The converter raises bare exceptions, and IndexError for what it did not expect.
        raise InvalidRequestError(
            f"{constraint.param} is no grammar in GBNF: {exc}.", param=constraint.param
        ) from exc
