"""Tools of responses."""

from __future__ import annotations

from typing import Any

import pytest

from stoker.errors import InvalidRequestError, UnsupportedFeatureError
from stoker.messages import Tool, ToolChoice, ToolChoiceMode
from stoker_litestar.dialects.responses.tools import Tools

SCHEMA = {"type": "object"}
ADD = {"type": "function", "name": "add", "parameters": SCHEMA}
SUB = {"type": "function", "name": "sub", "parameters": None, "strict": None}


def test_functions() -> None:
    """Schemas are strict unless the request says otherwise, as is the API's default."""
    lax = ADD | {"name": "lax", "strict": False, "description": "Loose.", "async": True}

    tools = Tools.of([ADD, SUB, lax], None)

    assert (
        Tool("add", "", SCHEMA, strict=True),
        Tool("sub"),
        Tool("lax", "Loose.", SCHEMA),
    ) == tools.shown
    assert ToolChoice() == tools.choice


@pytest.mark.parametrize(
    ("choice", "expected", "shown"),
    [
        ("auto", ToolChoice(), ["add", "sub"]),
        ("none", ToolChoice(ToolChoiceMode.NONE), ["add", "sub"]),
        ("required", ToolChoice(ToolChoiceMode.REQUIRED), ["add", "sub"]),
        (
            {"type": "function", "name": "sub"},
            ToolChoice(ToolChoiceMode.REQUIRED, "sub"),
            ["add", "sub"],
        ),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "sub"}],
            },
            ToolChoice(ToolChoiceMode.REQUIRED),
            ["sub"],
        ),
    ],
)
def test_choices(choice: Any, expected: ToolChoice, shown: list[str]) -> None:
    """Each arrives as it was meant; with some tools allowed, the others are not shown."""
    tools = Tools.of([ADD, SUB], choice)

    assert (expected, shown) == (tools.choice, [tool.name for tool in tools.shown])
    assert ["add", "sub"] == [tool.name for tool in tools.wire]


@pytest.mark.parametrize(
    ("tools", "choice", "param"),
    [
        ([{"type": "web_search"}], None, "tools[0].type"),
        ([{"type": "custom", "name": "x"}], None, "tools[0].type"),
        ([ADD | {"defer_loading": True}], None, "tools[0].defer_loading"),
        ([ADD | {"allowed_callers": ["programmatic"]}], None, "tools[0].allowed_callers"),
        ([ADD], {"type": "file_search"}, "tool_choice"),
    ],
)
def test_hosted_tools_are_refused(tools: Any, choice: Any, param: str) -> None:
    """Only the client's own functions are known."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        Tools.of(tools, choice)

    assert param == caught.value.param


@pytest.mark.parametrize(
    ("tools", "choice", "param"),
    [
        ([{"type": "function"}], None, "tools[0].name"),
        ([ADD | {"nmae": 1}], None, "tools[0].nmae"),
        ([ADD], "perhaps", "tool_choice"),
        ([ADD], 5, "tool_choice"),
        ([], "required", "tool_choice"),
        ([ADD], {"type": "function", "name": "sub"}, "tool_choice.name"),
        ([ADD], {"type": "function"}, "tool_choice.name"),
        (
            [ADD],
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function"}]},
            "tool_choice.tools[0]",
        ),
    ],
)
def test_malformed_tools_are_named(tools: Any, choice: Any, param: str) -> None:
    """The error says which field is wrong."""
    with pytest.raises(InvalidRequestError) as caught:
        Tools.of(tools, choice)

    assert param == caught.value.param
