"""Which parser reads which model's answers, and what each forces."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from family_answers import INVOKES, KEYED, LINES, LISTED, NUMBERED, SINGLE, TYPED, WITH_IDS
from wishful import WishfulEngine

from stoker.errors import UnavailableError
from stoker.events import ChoiceFinished, Finished, FinishReason, ToolCallDelta
from stoker.messages import Author, Message, TextPart, Tool, ToolChoice, ToolChoiceMode
from stoker.parser import ForcedCalls, ParserSpec
from stoker.parsers.choosing import AUTOMATIC, choose_syntax, parser_names
from stoker.parsers.hermes import HermesSyntax
from stoker.parsers.template import TemplateSyntax
from stoker.request import ChatPrompt, GenerateRequest
from stoker.testing.pipeline import answer
from stoker.text.chat_template import ChatTemplate

PLAIN = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
END = "<|im_end|>"
CITY = '{"city": "Paris", "days": 2}'

# ruff: noqa: ISC004 - marks and text are two things, of which the second is long
# What the family's template has in it, and two calls as the family writes them when it must.
FAMILIES = {
    "hermes": (
        '<tool_call>\n{"name"',
        f'<tool_call>\n{{"name": "weather", "arguments": {CITY}}}\n</tool_call>\n'
        '<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call>',
    ),
    "llama3": (
        "<|python_tag|>",
        f'{{"name": "weather", "parameters": {CITY}}}; {{"name": "clock", "parameters": {{}}}}',
    ),
    "mistral": (
        "[TOOL_CALLS]",
        f'[TOOL_CALLS][{{"name": "weather", "arguments": {CITY}}}, '
        '{"name": "clock", "arguments": {}}]',
    ),
    "mistral-named": (
        "[TOOL_CALLS][ARGS]",
        f"[TOOL_CALLS]weather[ARGS]{CITY}[TOOL_CALLS]clock[ARGS]{{}}",
    ),
    "qwen3-coder": (
        "<tool_call><function=<parameter=",
        "<tool_call>\n<function=weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n2"
        "\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=clock>\n</function>\n"
        "</tool_call>",
    ),
    "glm": (
        "<arg_key>",
        "<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n<arg_key>days"
        "</arg_key>\n<arg_value>2</arg_value>\n</tool_call>\n<tool_call>clock\n</tool_call>",
    ),
    "deepseek": (
        "<｜tool▁call▁begin｜>",
        f"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{CITY}<｜tool▁call▁end｜>"
        "<｜tool▁call▁begin｜>clock<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    ),
    "deepseek-fenced": (
        "<｜tool▁call▁begin｜>```json",
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n"
        f"{CITY}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>clock\n```json\n{{}}"
        "\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    ),
    "gemma": (
        "<start_function_call>",
        "<start_function_call>call:weather{city:<escape>Paris<escape>,days:2}<end_function_call>"
        "<start_function_call>call:clock{}<end_function_call>",
    ),
    "granite": (
        "<|tool_call|>",
        f'<|tool_call|>[{{"name": "weather", "arguments": {CITY}}}, '
        '{"name": "clock", "arguments": {}}]',
    ),
    "command": (
        "<|START_ACTION|>",
        '<|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "weather", "parameters": '
        f'{CITY}}},\n    {{"tool_call_id": "0", "tool_name": "clock", "parameters": {{}}}}\n]'
        "<|END_ACTION|>",
    ),
    "liquid": (
        "<|tool_call_start|>",
        '<|tool_call_start|>[weather(city="Paris", days=2), clock()]<|tool_call_end|>',
    ),
    "automatic-lines": (
        LINES,
        f'<tool_calls>\n{{"name": "weather", "arguments": {CITY}}}\n'
        '{"name": "clock", "arguments": {}}\n</tool_calls>',
    ),
    "automatic-keyed": (KEYED, f'<|tools|>[{{"weather": {CITY}}}, {{"clock": {{}}}}]<|tools_end|>'),
    "automatic-ids": (
        WITH_IDS,
        f"<|calls|><|call|>call00000<|name|>weather<|args|>{CITY}<|call_end|>"
        "<|call|>call00000<|name|>clock<|args|>{}<|call_end|><|calls_end|>",
    ),
    "automatic-typed": (
        TYPED,
        '<calls>\n<invoke name="weather">\n<parameter name="city" string="true">Paris</parameter>\n'
        '<parameter name="days" string="false">2</parameter>\n</invoke>\n<invoke name="clock">\n'
        "</invoke>\n</calls>",
    ),
    "automatic-tags": (
        INVOKES,
        '<calls>\n<invoke name="weather">\n<parameter name="city">Paris</parameter>\n'
        '<parameter name="days">2</parameter>\n</invoke>\n<invoke name="clock">\n</invoke>\n'
        "</calls>",
    ),
    "automatic-list": (
        LISTED,
        f'<TOOLS>[{{"name": "weather", "arguments": {CITY}}}, '
        '{"name": "clock", "arguments": {}}]</TOOLS>',
    ),
    "automatic-numbered": (
        NUMBERED,
        f"<|section|><|call|>functions.weather:0<|arguments|>{CITY}<|done|>"
        "<|call|>functions.clock:0<|arguments|>{}<|done|><|over|>",
    ),
}
TOOLS = (
    Tool(
        "weather",
        "-",
        {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    ),
    Tool("clock"),
)


def _template(marks: str) -> str:
    return marks if "messages" in marks else PLAIN + "{# " + marks + " #}"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that wait for a grammar count like others: let there be enough of them."""
    monkeypatch.setattr("stoker.testing.pipeline.MAX_STEPS", 20_000)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_forced_in_its_own_syntax(family: str) -> None:
    """What it would write of itself fits its grammar to the letter, and is read as the calls."""
    marks, written = FAMILIES[family]
    engine = WishfulEngine(lambda _: written, chat_template=_template(marks), control=(END,))
    prompt = ChatPrompt(
        (Message(Author.USER, (TextPart("-"),)),),
        tools=TOOLS,
        tool_choice=ToolChoice(ToolChoiceMode.REQUIRED),
    )
    *events, last = answer(engine, GenerateRequest("m", prompt))

    calls: list[list[str]] = []
    for event in events:
        if isinstance(event, ToolCallDelta):
            if event.name is not None:
                calls.append([event.name, ""])
            calls[-1][1] += event.arguments
    assert [["weather", CITY], ["clock", "{}"]] == calls
    assert isinstance(last, Finished)
    assert len(written.encode()) == last.usage.completion_tokens
    assert FinishReason.TOOL_CALLS in [
        event.reason for event in events if isinstance(event, ChoiceFinished)
    ]


def test_a_form_that_knows_one_call_forces_one() -> None:
    """A template that writes one call only shows nothing of a second one."""
    rules = _choose(SINGLE).calls(ForcedCalls(TOOLS, parallel=True), json.dumps)

    assert ")*" not in rules.splitlines()[0]


def _choose(source: str, plugins: dict[str, ParserSpec] | None = None, name: Any = None) -> Any:
    return choose_syntax(source, ChatTemplate(source, {}), plugins=plugins or {}, name=name)


def _spec(name: str, *, claims: bool) -> ParserSpec:
    @attrs.define(slots=False)
    class Own(HermesSyntax):
        own = name

    return ParserSpec(name, lambda _: claims, lambda _: Own())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_template_shows_its_family(family: str) -> None:
    """A shipped parser claims it, or its syntax is found out."""
    source = _template(FAMILIES[family][0])
    made = _choose(source)

    assert family.startswith(AUTOMATIC) == isinstance(made, TemplateSyntax)
    if not family.startswith(AUTOMATIC):
        assert type(made) is type(
            _choose(source, name=family.removesuffix("-named").removesuffix("-fenced"))
        )


def test_plugins_are_asked_first() -> None:
    """In the order of their names, and those that do not claim the template are passed over."""
    source = _template(FAMILIES["mistral"][0])
    plugins = {name: _spec(name, claims=name != "a") for name in ("c", "a", "b")}

    assert "b" == _choose(source, plugins).own


def test_a_config_names_a_parser() -> None:
    """Of a plugin, a shipped one, or the automatic one."""
    plugins = {"own": _spec("own", claims=False)}

    assert "own" == _choose(PLAIN, plugins, "own").own
    assert isinstance(_choose(PLAIN, plugins, "hermes"), HermesSyntax)
    assert isinstance(_choose(LISTED, plugins, AUTOMATIC), TemplateSyntax)
    assert {"own", "hermes", "think", AUTOMATIC} <= set(parser_names(plugins))


@pytest.mark.parametrize("name", ["nobody", AUTOMATIC])
def test_a_parser_that_is_not_there(name: str) -> None:
    """The error says what there is, or what to do."""
    with pytest.raises(UnavailableError, match=r"there are|leave its parser unset"):
        _choose(PLAIN, name=name)


def test_a_plugins_parser_that_fails_is_named() -> None:
    """It is no reason to end the runner."""

    def fail(_: str) -> Any:
        raise RuntimeError("broken")

    for spec in (ParserSpec("own", fail, fail), ParserSpec("own", bool, fail)):
        with pytest.raises(UnavailableError, match="'own' fails: RuntimeError: broken"):
            _choose(PLAIN, {"own": spec})
