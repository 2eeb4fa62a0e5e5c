"""Answers of many forms from the real model, judged by another library."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from stoker.constraints.compiler import ConstraintCompiler
from stoker.events import FinishReason
from stoker.request import Constraint, ConstraintKind

QUESTION = "<|im_start|>user\nWrite something as JSON.<|im_end|>\n<|im_start|>assistant\n"
SHORT = {"type": "string", "maxLength": 12}
SEEDS = 6
SCHEMAS = {
    "nested objects": {
        "type": "object",
        "properties": {
            "a": {
                "type": "object",
                "properties": {"b": {"type": "object", "properties": {"c": SHORT}}},
                "required": ["b"],
                "additionalProperties": False,
            }
        },
        "required": ["a"],
        "additionalProperties": False,
    },
    "array": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 4},
    "prefix items": {
        "type": "array",
        "prefixItems": [{"type": "boolean"}, SHORT],
        "items": False,
        "minItems": 2,
    },
    "enum": {"enum": ["red", "größe", 1, 2.5, None, True, {"x": [1]}]},
    "unicode": {"type": "string", "pattern": "^[ä-üé東京🙂]{1,8}$"},
    "escapes": {"type": "string", "pattern": '^["\\\\\\n/a]{2,6}$'},
    "integer bounds": {"type": "integer", "minimum": -17, "exclusiveMaximum": 230},
    "number bounds": {
        "type": "number",
        "exclusiveMinimum": 0.5,
        "maximum": 12.25,
        # Without it a hot and small model writes digits for ever.
        "multipleOf": 0.25,
    },
    "any of": {"anyOf": [{"type": "null"}, {"const": "x"}, {"type": "array", "maxItems": 0}]},
    "pattern": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3,5}$"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "format": "date-time"},
    "uuid": {"type": "string", "format": "uuid"},
    "address": {"type": "string", "format": "ipv4"},
    "map": {
        "type": "object",
        "properties": {"kind": {"const": "map"}},
        "required": ["kind"],
        "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 9},
        "maxProperties": 4,
    },
    "lengths": {"type": "string", "minLength": 3, "maxLength": 5},
}


@pytest.fixture(scope="module")
def compiler(shared_engine: Any) -> Iterator[ConstraintCompiler]:
    made = ConstraintCompiler(shared_engine)
    yield made
    made.close()


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_has_ended_is_valid(player: Any, compiler: ConstraintCompiler, name: str) -> None:
    """Hot answers fit their schema when they end by themselves, and say so when they were cut."""
    source = json.dumps(SCHEMAS[name])
    grammar = compiler.compile(Constraint(ConstraintKind.JSON_SCHEMA, source)).result(60)
    for number in range(SEEDS):
        player.submit(
            number,
            QUESTION,
            max_tokens=80,
            ignore_end=False,
            temperature=1.0,
            seed=number,
            constraint=grammar.begin("schema"),
        )
    player.run()
    validator = jsonschema.Draft202012Validator(
        SCHEMAS[name], format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )

    for number in range(SEEDS):
        if player.finishes()[number] is FinishReason.STOP:
            validator.validate(json.loads(player.text(number)))
        else:
            assert FinishReason.LENGTH is player.finishes()[number]
            assert 80 == len(player.tokens(number))
    assert FinishReason.STOP in {player.finishes()[number] for number in range(SEEDS)}
