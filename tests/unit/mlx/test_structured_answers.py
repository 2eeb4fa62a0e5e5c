"""Answers in given forms: a model that knows nothing keeps to them all the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
from player import Player

from stoker.constraints.compiler import ConstraintCompiler
from stoker.errors import InvalidRequestError
from stoker.events import FinishReason
from stoker.request import Constraint, ConstraintKind

SCHEMAS: dict[str, Any] = {
    "object": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 8},
            "kind": {"enum": ["cat", "dog"]},
            "age": {"type": "integer", "minimum": 0, "maximum": 30},
        },
        "required": ["name", "kind", "age"],
        "additionalProperties": False,
    },
    "array": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 4},
    "unicode": {"type": "string", "pattern": "^[ä-üé東京🙂]{1,8}$"},
    "date": {"type": "string", "format": "date"},
}
FORMS = {
    ConstraintKind.REGEX: "[a-c]{3}-[0-9]{2}",
    ConstraintKind.CHOICE: '["red","green","größe"]',
    ConstraintKind.LARK: 'start: "x" ("y" | "z")~2',
}


@pytest.fixture
def player(load: Callable[..., Player]) -> Player:
    return load(max_sequences=6)


@pytest.fixture
def compiler(player: Player) -> Iterator[ConstraintCompiler]:
    made = ConstraintCompiler(player.engine)
    yield made
    made.close()


def matcher(compiler: ConstraintCompiler, kind: ConstraintKind, source: str) -> Any:
    """A constraint for one sequence."""
    return compiler.compile(Constraint(kind, source)).result(60).begin("constraint")


@pytest.mark.parametrize("name", SCHEMAS)
def test_all_answers_are_valid(player: Player, compiler: ConstraintCompiler, name: str) -> None:
    """Hot, cold and free answers run side by side; each with a schema fits it."""
    source = json.dumps(SCHEMAS[name])
    for number in range(5):
        player.submit(
            number,
            "the quick brown",
            max_tokens=250,
            ignore_end=False,
            temperature=0.0 if number == 0 else 1.2,
            seed=number,
            constraint=matcher(compiler, ConstraintKind.JSON_SCHEMA, source),
        )
    player.submit(9, "fox", max_tokens=40)
    player.run()

    for number in range(5):
        assert FinishReason.STOP is player.finishes()[number]
        jsonschema.validate(json.loads(player.text(number)), SCHEMAS[name])
    assert 40 == len(player.tokens(9))


def test_all_kinds_of_forms(player: Player, compiler: ConstraintCompiler) -> None:
    """Regular expressions, choices and grammars hold as well."""
    for number, (kind, source) in enumerate(FORMS.items()):
        constraint = matcher(compiler, kind, source)
        player.submit(number, "fox", ignore_end=False, constraint=constraint, max_tokens=60)
    player.run()

    assert re.fullmatch("[a-c]{3}-[0-9]{2}", player.text(0))
    assert player.text(1) in {"red", "green", "größe"}
    assert re.fullmatch("x[yz]{2}", player.text(2))


def test_what_is_forced_takes_no_steps(player: Player, compiler: ConstraintCompiler) -> None:
    """A lone answer gets what its form leaves no choice about in one step."""
    source = '"the only thing that can be said here is this, and nothing else at all"'
    constraint = matcher(compiler, ConstraintKind.LARK, f"start: {source}")
    player.submit(1, "fox", ignore_end=False, constraint=constraint, max_tokens=100)
    player.run()

    assert json.loads(source) == player.text(1)
    assert max(len(output.tokens) for output in player.outputs) > 8


def test_a_newcomer_does_not_disturb_what_was_forced(
    player: Player, compiler: ConstraintCompiler
) -> None:
    """When another sequence joins one that is tokens ahead, both go on rightly."""
    source = 'start: "the only thing to be said here is this: " /[a-c]/ " and that: " /[x-z]/'
    player.submit(
        1,
        "fox",
        constraint=matcher(compiler, ConstraintKind.LARK, source),
        ignore_end=False,
        max_tokens=100,
    )
    player.submit(2, "the lazy dog", max_tokens=30)
    player.run()

    assert re.fullmatch(
        "the only thing to be said here is this: [a-c] and that: [x-z]", player.text(1)
    )
    assert 30 == len(player.tokens(2))


def test_bias_and_form_may_leave_nothing(player: Player, compiler: ConstraintCompiler) -> None:
    """When the bias bans all that the form allows, that sequence fails and says so."""
    bans = dict.fromkeys(player.encode("xX"), -100.0)
    constraint = matcher(compiler, ConstraintKind.REGEX, "[xX]")
    player.submit(1, "fox", constraint=constraint, ignore_end=False, logit_bias=bans)
    player.run()
    (error,) = [output.error for output in player.outputs if output.error]

    assert isinstance(error, InvalidRequestError)
    assert "logit_bias" == error.param
