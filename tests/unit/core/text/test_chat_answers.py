"""Answers of chats, through the whole text pipeline: reasoning, calls, constraints, budgets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from wishful import CONTROL, WishfulEngine

from stoker.artifact import ModelBundle
from stoker.digest import Digest
from stoker.errors import InvalidRequestError, UnsupportedFeatureError
from stoker.events import (
    ChoiceFinished,
    Event,
    Failed,
    Finished,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from stoker.messages import (
    Author,
    Message,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
    ToolChoiceMode,
)
from stoker.parser import OutputParser, ParserSpec, ParsingContext
from stoker.parsers.hermes import HermesSyntax
from stoker.reference import Reference
from stoker.request import (
    ChatPrompt,
    Constraint,
    ConstraintKind,
    Effort,
    GenerateRequest,
    Reasoning,
    TextPrompt,
)
from stoker.sampling import SamplingParams
from stoker.testing.events import check_events
from stoker.testing.pipeline import answer
from stoker.text.chat_syntax import ParserChoice
from stoker.text.token_session import TokenSession

_NO_FILES = ModelBundle(Reference.parse("test"), Digest.of(b""), files=())

HERMES = (
    "{% if tools %}<|im_start|>system\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}"
    'Call with <tool_call>{"name": ..., "arguments": ...}</tool_call><|im_end|>\n{% endif %}'
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content or '' }}"
    "{% for c in m.tool_calls or [] %}<tool_call>\n"
    '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}'
    "\n</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
    "{% endif %}"
)
OPENS = HERMES.replace(
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}",
    "<think>\n",
)
PLAIN = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)
HARMONY_CONTROL = (
    *("<|im_end|>", "<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|call|>"),
    "<|constrain|>",
)
HARMONY = (
    "{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endfor %}"
    "{% for t in tools or [] %}{{ t.function.name }}{% endfor %}"
    "<|start|>assistant{# <|channel|>analysis<|message|> #}"
)

WEATHER = Tool(
    "weather",
    "Tells the weather.",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
        "additionalProperties": False,
    },
)
CLOCK = Tool("clock", "Tells the time.", {"type": "object", "properties": {}})
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome", "days": 2}}\n</tool_call>'
SCHEMA = Constraint(
    ConstraintKind.JSON_SCHEMA,
    '{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"],'
    ' "additionalProperties": false}',
    "response_format",
)


@attrs.frozen
class Said:
    """What an answer says."""

    text: str
    reasoning: str
    calls: list[tuple[str, Any]]
    reason: FinishReason
    reasoning_tokens: int


def _prompt(*messages: Message, **fields: Any) -> ChatPrompt:
    return ChatPrompt(messages or (Message(Author.USER, (TextPart("Hi."),)),), **fields)


def _events(script: str, prompt: ChatPrompt, template: str = HERMES, **fields: Any) -> list[Event]:
    control: Sequence[str] = fields.pop("control", CONTROL)
    masks: bool = fields.pop("masks", True)
    engine = WishfulEngine(lambda _: script, chat_template=template, control=control, masks=masks)
    return answer(engine, GenerateRequest("m", prompt, **fields))


def _said(script: str, prompt: ChatPrompt, template: str = HERMES, **fields: Any) -> Said:
    events = _events(script, prompt, template, **fields)
    check_events(events)
    calls: list[list[str]] = []
    for event in events:
        if isinstance(event, Failed):
            raise event.error
        if isinstance(event, ToolCallDelta):
            if event.name is not None:
                calls.append([event.name, ""])
            calls[-1][1] += event.arguments
    last = events[-1]
    assert isinstance(last, Finished)
    return Said(
        "".join(event.text for event in events if isinstance(event, TextDelta)),
        "".join(event.text for event in events if isinstance(event, ReasoningDelta)),
        [(name, json.loads(arguments)) for name, arguments in calls],
        next(event.reason for event in events if isinstance(event, ChoiceFinished)),
        last.usage.reasoning_tokens,
    )


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that wait for a grammar count like others: let there be enough of them."""
    monkeypatch.setattr("stoker.testing.pipeline.MAX_STEPS", 20_000)


def test_a_free_call_is_parsed() -> None:
    """Text before it stays text, and the finish reason says that the model waits for results."""
    said = _said(f"Let me see.\n{CALL}", _prompt(tools=(WEATHER, CLOCK)))

    assert (
        Said(
            "Let me see.",
            "",
            [("weather", {"city": "Rome", "days": 2})],
            FinishReason.TOOL_CALLS,
            0,
        )
        == said
    )


def test_tools_that_may_not_be_called_are_not_parsed() -> None:
    """With the tool choice none the answer is text, whatever it looks like."""
    choice = ToolChoice(ToolChoiceMode.NONE)
    said = _said("<tool_call>x", _prompt(tools=(WEATHER,), tool_choice=choice))

    assert ([], FinishReason.STOP) == (said.calls, said.reason)


@pytest.mark.parametrize(
    "choice", [ToolChoice(ToolChoiceMode.REQUIRED), ToolChoice(ToolChoiceMode.REQUIRED, "weather")]
)
@pytest.mark.parametrize("template", [HERMES, OPENS, PLAIN])
def test_a_forced_call_is_made(choice: ToolChoice, template: str) -> None:
    """A model that would rather chat calls, with arguments that follow the tool's schema."""
    prompt = _prompt(tools=(WEATHER,), tool_choice=choice, parallel_tool_calls=False)
    said = _said("I would rather chat.</think>1", prompt, template)

    ((name, arguments),) = said.calls
    assert "weather" == name
    assert {"city", "days"} == set(arguments)
    assert isinstance(arguments["days"], int)
    assert FinishReason.TOOL_CALLS is said.reason


def test_the_named_tool_is_the_one_that_is_called() -> None:
    """Also when the model wishes to call another one."""
    prompt = _prompt(
        tools=(WEATHER, CLOCK),
        tool_choice=ToolChoice(ToolChoiceMode.REQUIRED, "clock"),
        parallel_tool_calls=False,
    )

    assert [("clock", {})] == _said(CALL, prompt).calls


def test_parallel_calls_can_be_forced() -> None:
    """A script of two calls is written as it is."""
    second = '<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call>'
    prompt = _prompt(tools=(WEATHER, CLOCK), tool_choice=ToolChoice(ToolChoiceMode.REQUIRED))

    assert [("weather", {"city": "Rome", "days": 2}), ("clock", {})] == _said(
        f"{CALL}\n{second}", prompt
    ).calls


def test_an_engine_without_masks_forces_nothing() -> None:
    """It says so."""
    prompt = _prompt(tools=(CLOCK,), tool_choice=ToolChoice(ToolChoiceMode.REQUIRED))

    with pytest.raises(UnsupportedFeatureError, match="cannot constrain") as caught:
        _said("x", prompt, masks=False)
    assert "tool_choice" == caught.value.param


def test_reasoning_is_told_apart_and_counted() -> None:
    """The marks count, too."""
    said = _said("<think>\nHm.\n</think>\n\nYes.", _prompt())

    assert Said("Yes.", "Hm.", [], FinishReason.STOP, len("<\nHm.\n>")) == said


def test_reasoning_that_the_template_begins() -> None:
    """The answer begins inside it."""
    said = _said("Hm.\n</think>\n\nYes.", _prompt(), OPENS)

    assert ("Yes.", "Hm.") == (said.text, said.reasoning)


def test_stop_strings_are_those_of_the_answer() -> None:
    """Neither reasoning nor arguments end an answer."""
    said = _said(f"<think>STOP</think>\n\nNow. {CALL}", _prompt(tools=(WEATHER,)), stop=("Rome",))

    assert ("Now.", 1) == (said.text, len(said.calls))
    assert "No" == _said("<think>w</think>Now", _prompt(), stop=("w",)).text


def test_a_budget_ends_the_reasoning() -> None:
    """Its end is written in the model's place, and the answer follows."""
    reasoning = Reasoning(budget_tokens=5)
    said = _said("abcdefghij</think>Yes.", _prompt(reasoning=reasoning), OPENS)

    assert "abcde" == said.reasoning
    assert said.text.endswith("Yes.")
    assert 5 + len("\n>") == said.reasoning_tokens


def test_a_budget_of_nothing() -> None:
    """The model does not think at all, also where its template cannot say so."""
    said = _said("Yes.", _prompt(reasoning=Reasoning(effort=Effort.NONE)), OPENS)

    assert ("Yes.", "") == (said.text, said.reasoning)


def test_a_template_that_can_turns_thinking_off() -> None:
    """The prompt has an empty reasoning, and nothing need be forced."""
    engine = WishfulEngine(lambda _: "Yes.", chat_template=HERMES, masks=False)
    prompt = _prompt(reasoning=Reasoning(effort=Effort.NONE))
    answer(engine, GenerateRequest("m", prompt))

    assert engine.prompts[0].endswith("<think>\n\n</think>\n\n")


@pytest.mark.parametrize("script", ['<think>Hm, {.</think>{"a":1}', '{"a":1}'])
def test_a_form_begins_after_the_reasoning(script: str) -> None:
    """The model may think or not; the answer has the form in both cases."""
    said = _said(script, _prompt(), constraint=SCHEMA)

    assert '{"a":1}' == said.text
    assert ("Hm, {." if "think" in script else "") == said.reasoning


def test_a_form_begins_after_reasoning_that_was_begun() -> None:
    """And the model may not end before its answer."""
    said = _said("Hm.</think>", _prompt(), OPENS, constraint=SCHEMA, max_tokens=60)

    assert "Hm." == said.reasoning
    assert '{"a":' == said.text[:5]


def test_a_form_or_a_call() -> None:
    """Beside tools an answer has the form that was asked for, unless it is a call."""
    prompt = _prompt(tools=(WEATHER,))

    assert '{"a":1}' == _said('{"a":1}', prompt, constraint=SCHEMA).text
    assert "weather" == _said(CALL, prompt, constraint=SCHEMA).calls[0][0]


def test_other_forms_do_not_go_with_tools() -> None:
    """It says what to do."""
    constraint = Constraint(ConstraintKind.REGEX, "a+", "regex")
    with pytest.raises(UnsupportedFeatureError, match="beside tools only JSON"):
        _said("aa", _prompt(tools=(WEATHER,)), constraint=constraint)


def test_tools_are_told_in_words_to_models_that_know_none() -> None:
    """So that no tool is dropped in silence; calls and results of the past are, too."""
    engine = WishfulEngine(lambda _: CALL, chat_template=PLAIN)
    call = ToolCall("1", "clock", "{broken")
    prompt = _prompt(
        Message(Author.USER, (TextPart("What time?"),)),
        Message(Author.ASSISTANT, (), (call,)),
        Message(Author.TOOL, (TextPart("noon"),), tool_call_id="1"),
        tools=(WEATHER,),
    )
    events = answer(engine, GenerateRequest("m", prompt))

    (said,) = engine.prompts
    assert "Tells the weather." in said
    assert '"clock"' in said
    assert "noon" in said
    assert any(isinstance(event, ToolCallDelta) for event in events)


def _begun(**fields: Any) -> ChatPrompt:
    messages = (
        Message(Author.USER, (TextPart("-"),)),
        Message(Author.ASSISTANT, (TextPart("One,"),)),
    )
    return ChatPrompt(messages, continue_final_message=True, **fields)


class _Broken(OutputParser):
    def feed(self, text: str) -> Sequence[Any]:
        raise LookupError(text)

    def finish(self) -> Sequence[Any]:
        return ()


class _BrokenSyntax(HermesSyntax):
    def parser(self, context: ParsingContext) -> OutputParser:
        del context
        return _Broken()


def test_a_parser_that_fails_fails_its_request_only() -> None:
    """A plugin's may raise anything; what else runs goes on."""
    spec = ParserSpec("broken", lambda _: True, lambda _: _BrokenSyntax())
    engine = WishfulEngine(lambda _: "abc", chat_template=HERMES)
    session = TokenSession.open(engine, _NO_FILES, ParserChoice({"broken": spec}))
    session.submit(1, GenerateRequest("m", _prompt(tools=(CLOCK,))))
    session.submit(2, GenerateRequest("m", TextPrompt("-")))
    events: list[tuple[int, Event]] = []
    while not session.idle:
        events += session.step()

    last = dict(events)
    assert isinstance(last[1], Failed)
    assert "The parser of this model's answers failed: LookupError" in last[1].error.message
    assert isinstance(last[2], Finished)


def test_a_begun_answer_is_not_thought_about() -> None:
    """What follows it is told, its space in front included, whatever the budget for thinking."""
    said = _said(" two.", _begun(reasoning=Reasoning(budget_tokens=0)))

    assert (" two.", "") == (said.text, said.reasoning)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"constraint": Constraint(ConstraintKind.JSON_OBJECT, param="format")}, "format"),
        ({"prompt": {"tool_choice": ToolChoice(ToolChoiceMode.REQUIRED)}}, "tool_choice"),
    ],
)
def test_a_begun_answer_has_no_form(fields: dict[str, Any], param: str) -> None:
    """A form is that of a whole answer."""
    prompt = _begun(tools=(CLOCK,), **fields.pop("prompt", {}))
    with pytest.raises(InvalidRequestError, match="begun") as caught:
        _said("-", prompt, **fields)

    assert param == caught.value.param


def test_harmony_channels() -> None:
    """Control tokens that the syntax needs reach the parser, and nobody else."""
    script = (
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes."
    )
    said = _said(script, _prompt(), HARMONY, control=HARMONY_CONTROL)

    assert ("Yes.", "Hm.", 1 + len("analysis") + 1 + len("Hm.") + 1 - 9) == (
        said.text,
        said.reasoning,
        said.reasoning_tokens,
    )


def test_harmony_forms_and_calls() -> None:
    """They come in the channels that they belong to."""
    script = "<|channel|>analysis<|message|>Hm.<|end|>"
    said = _said(
        script, _prompt(), HARMONY, control=HARMONY_CONTROL, constraint=SCHEMA, max_tokens=200
    )
    assert "Hm." == said.reasoning
    assert '{"a":' == said.text[:5]

    prompt = _prompt(tools=(CLOCK,), tool_choice=ToolChoice(ToolChoiceMode.REQUIRED))
    said = _said(script, prompt, HARMONY, control=HARMONY_CONTROL)
    assert ("Hm.", [("clock", {})]) == (said.reasoning, said.calls)


def test_log_probabilities_are_those_of_the_answer() -> None:
    """A token of the reasoning or of a call is not among them."""
    sampling = SamplingParams(logprobs=0)
    events = _events(
        f"<think>Hm</think>\n\nYes. {CALL}", _prompt(tools=(WEATHER,)), sampling=sampling
    )

    reported = [
        item.bytes for event in events if isinstance(event, TextDelta) for item in event.logprobs
    ]
    assert b"Yes." == b"".join(reported).strip()


def test_choices_are_parsed_one_by_one() -> None:
    """Each has its own calls."""
    events = _events(CALL, _prompt(tools=(WEATHER,)), n=2)
    check_events(events, n=2)

    assert [0, 1] == sorted(
        event.index for event in events if isinstance(event, ToolCallDelta) and event.name
    )


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": (CLOCK, CLOCK)}, "tools"),
        ({"tool_choice": ToolChoice(ToolChoiceMode.REQUIRED)}, "tool_choice"),
        ({"tools": (CLOCK,), "tool_choice": ToolChoice(name="other")}, "tool_choice"),
    ],
)
def test_tools_that_do_not_fit_together_are_refused(fields: dict[str, Any], param: str) -> None:
    """By name."""
    with pytest.raises(InvalidRequestError) as caught:
        _said("x", _prompt(**fields))

    assert param == caught.value.param
