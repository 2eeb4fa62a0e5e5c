"""Pieces of grammars for calls that are forced, in llguidance's dialect of Lark."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stoker.messages import Tool
from stoker.parser import ForcedCalls, Literal
from stoker.parsers.value import is_text

# As templates write JSON, and so as models have learnt to write calls.
_SPACING = {
    "x-guidance": {
        "whitespace_flexible": False,
        "item_separator": ", ",
        "key_separator": ": ",
    }
}


def arguments_schema(tool: Tool) -> dict[str, Any]:
    """The schema of a tool's arguments: an object, whatever the tool says.

    Where the schema does not say that there may be others, there are no arguments but those that it
    names: a model that is forced to call would make some up.
    """
    schema = dict(tool.parameters)
    closed = {} if "properties" not in schema and schema else {"additionalProperties": False}
    return {**closed, **schema, "type": "object"}


def json_rule(schema: Any) -> str:
    """What stands for JSON of a schema."""
    if isinstance(schema, dict):
        schema = {**_SPACING, **schema}
    return f"%json {json.dumps(schema)}"


def calls_rule(
    forced: ForcedCalls,
    literal: Literal,
    call: Callable[[Tool, str], Sequence[str]],
    *,
    first: str = "",
    between: str = "",
    last: str = "",
) -> str:
    """Write the rules for one call of some tools or more.

    Args:
        forced: What may be called.
        literal: Writes fixed texts.
        call: Gives the rules of a call of one tool, the first of which has the given name.
        first: Stands before the first call.
        between: Stands between two calls.
        last: Stands after the last call.
    """
    names = [f"call_{number}" for number in range(len(forced.tools))]
    more = f" ({_joined(literal(between), 'call')})*" if forced.parallel else ""
    rules = [
        f"calls: {_joined(literal(first), 'call')}{more} {literal(last)}".rstrip(),
        f"call: {' | '.join(names)}",
    ]
    for name, tool in zip(names, forced.tools, strict=True):
        rules += call(tool, name)
    return "\n".join(rules)


def _joined(*parts: str) -> str:
    return " ".join(filter(None, parts))


def json_call(before_name: str, between: str, after: str, literal: Literal) -> Any:
    """Give the rules of a call that is a name and JSON, with fixed texts around the two."""

    def call(tool: Tool, name: str) -> Sequence[str]:
        start = literal(before_name + tool.name + between)
        return (
            f"{name}: {_joined(start, f'{name}_arguments', literal(after))}",
            f"{name}_arguments: {json_rule(arguments_schema(tool))}",
        )

    return call


def properties_of(tool: Tool) -> Sequence[tuple[str, Any, bool]]:
    """A tool's parameters: their names, schemas, and whether they are required."""
    schema = arguments_schema(tool)
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return ()
    required = schema.get("required")
    needed = set(required) if isinstance(required, list) else set()
    shared = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    return [
        (name, {**shared, **value} if isinstance(value, dict) else value, name in needed)
        for name, value in properties.items()
    ]


def tagged_call(
    before_name: str,
    after_name: str,
    parameter: Callable[[str, bool], tuple[str, str]],
    after: str,
    literal: Literal,
    *,
    quote: str | None = "",
    separator: str = "",
) -> Any:
    """Give the rules of a call whose parameters stand in tags of their own.

    Args:
        before_name: Stands before the tool's name.
        after_name: Stands behind it.
        parameter: Gives what stands before and behind the value of a parameter, of its name and
            whether it is a string.
        after: Stands behind the last parameter.
        literal: Writes fixed texts.
        quote: Stands around a string value; None writes strings as JSON has them.
        separator: Stands between parameters.
    """

    def call(tool: Tool, name: str) -> Sequence[str]:
        rules: list[str] = []
        parts: list[str] = []
        properties = properties_of(tool)
        if separator:
            # Something must stand before a separator.
            properties = sorted(properties, key=lambda item: not item[2])
            properties = [
                (key, schema, needed or not i) for i, (key, schema, needed) in enumerate(properties)
            ]
        for number, (key, schema, needed) in enumerate(properties):
            start, end = parameter(key, is_text(schema))
            value = f"{name}_value_{number}"
            lead = separator if parts else ""
            if quote is None or not is_text(schema):
                inner = _joined(literal(lead + start), value, literal(end))
                rules.append(f"{value}: {json_rule(schema)}")
            elif words := _words(schema):
                inner = _joined(literal(lead + start + quote), value, literal(quote + end))
                rules.append(f"{value}: {' | '.join(map(_quoted, words))}")
            else:
                closing, rest = (quote, end) if quote else (end, "")
                rule, after_value = _text(value, closing, literal)
                inner = _joined(literal(lead + start + quote), value, after_value, literal(rest))
                rules.append(rule)
            parts.append(inner if needed else f"({inner})?")
        head = literal(before_name + tool.name + after_name)
        return (f"{name}: {_joined(head, *parts, literal(after))}", *rules)

    return call


def _text(rule: str, closing: str, literal: Literal) -> tuple[str, str]:
    """The rule of a string that ends where a text first comes, and what stands behind it."""
    end = literal(closing)
    if end != _quoted(closing):
        # No text spells a control token, so the string cannot run over it.
        return rf"{rule}: /(?s:.*)/", end
    # The end must be part of the pattern: a pattern of its own for what stands before takes the
    # beginning of the end as well, and there is no way back.
    pattern = "".join(rf"\x{{{ord(character):x}}}" for character in closing)
    return rf"{rule}[lazy]: /(?s:.*){pattern}/", ""


def _words(schema: Any) -> Sequence[str]:
    """The strings that a schema lists; none where it lists none."""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list):
        return ()
    return [value for value in values if isinstance(value, str) and value]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
