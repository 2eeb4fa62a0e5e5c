"""Answers of model families, as their models write them, and what is in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import attrs

from stoker.events import ReasoningDelta, TextDelta, ToolCallDelta
from stoker.messages import Tool
from stoker.parser import Delta, ParsingContext, Syntax
from stoker.parsers.choosing import automatic
from stoker.parsers.command import CommandSyntax
from stoker.parsers.deepseek import DeepSeekSyntax
from stoker.parsers.gemma import GemmaSyntax
from stoker.parsers.glm import GlmSyntax
from stoker.parsers.granite import GraniteSyntax
from stoker.parsers.harmony import HarmonySyntax
from stoker.parsers.hermes import HermesSyntax
from stoker.parsers.liquid import LiquidSyntax
from stoker.parsers.llama3 import LlamaSyntax
from stoker.parsers.mistral import MistralSyntax
from stoker.parsers.qwen3_coder import Qwen3CoderSyntax
from stoker.parsers.think import ThinkSyntax
from stoker.text.chat_template import ChatTemplate

TOOLS = (
    Tool(
        "weather",
        "Tells the weather.",
        {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "units": {"type": "string", "enum": ["C", "F"]},
                "hours": {"type": "array", "items": {"type": "integer"}},
            },
            "required": ["city"],
        },
    ),
    Tool("clock", "Tells the time.", {"type": "object", "properties": {}}),
)

INVOKES = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content or '' }}"
    "{% if m.tool_calls %}<calls>\n{% for c in m.tool_calls %}"
    '<invoke name="{{ c.function.name }}">\n{% for k, v in c.function.arguments.items() %}'
    '<parameter name="{{ k }}">{{ v if v is string else v | tojson }}</parameter>\n'
    "{% endfor %}</invoke>\n{% endfor %}</calls>{% endif %}<|end|>\n{% endfor %}"
)
LISTED = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content or '' }}"
    "{% if m.tool_calls %}<TOOLS>[{% for c in m.tool_calls %}"
    '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}'
    "{{ ', ' if not loop.last }}{% endfor %}]</TOOLS>{% endif %}<|end|>\n{% endfor %}"
)
_CHAT = "{% for m in messages %}<|{{ m.role }}|>{{ m.content or '' }}{% if m.tool_calls %}"
_ENDED = "{% endif %}<|end|>\n{% endfor %}"
_ARGUMENTS = "{{ c.function.arguments | tojson }}"
LINES = (
    f"{_CHAT}<tool_calls>\n{{% for c in m.tool_calls %}}"
    '{"name": "{{ c.function.name }}", "arguments": '
    f"{_ARGUMENTS}"
    "}\n{% endfor %}</tool_calls>"
    f"{_ENDED}"
)
KEYED = (
    f"{_CHAT}<|tools|>[{{% for c in m.tool_calls %}}"
    '{"{{ c.function.name }}": '
    f"{_ARGUMENTS}"
    "}{{ ', ' if not loop.last }}{% endfor %}]<|tools_end|>"
    f"{_ENDED}"
)
SINGLE = (
    f"{_CHAT}{{% set c = m.tool_calls[0] %}}<|function_call|>"
    '{"name": "{{ c.function.name }}", "arguments": '
    f"{_ARGUMENTS}"
    "}"
    f"{_ENDED}"
)
WITH_IDS = (
    f"{_CHAT}<|calls|>{{% for c in m.tool_calls %}}<|call|>{{{{ c.id }}}}<|name|>"
    f"{{{{ c.function.name }}}}<|args|>{_ARGUMENTS}<|call_end|>{{% endfor %}}<|calls_end|>{_ENDED}"
)
TYPED = (
    f"{_CHAT}<calls>\n{{% for c in m.tool_calls %}}"
    '<invoke name="{{ c.function.name }}">\n{% for k, v in c.function.arguments.items() %}'
    "<parameter name=\"{{ k }}\" string=\"{{ 'true' if v is string else 'false' }}\">"
    "{{ v if v is string else v | tojson }}</parameter>\n"
    f"{{% endfor %}}</invoke>\n{{% endfor %}}</calls>{_ENDED}"
)
NUMBERED = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content or '' }}"
    "{% if m.tool_calls %}<|section|>{% for c in m.tool_calls %}<|call|>functions."
    "{{ c.function.name }}:{{ loop.index0 }}<|arguments|>{{ c.function.arguments | tojson }}"
    "<|done|>{% endfor %}<|over|>{% endif %}<|end|>\n{% endfor %}"
)


def derived(template: str) -> Syntax:
    """The automatic syntax of a template."""
    found = automatic(template, ChatTemplate(template, {}))
    assert found is not None
    return found


@attrs.frozen
class Said:
    """What an answer says."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, Any], ...] = ()


@attrs.frozen
class Answer:
    """A text, and what it says in a syntax."""

    name: str
    syntax: Syntax
    written: str
    said: Said
    prompt: str = ""


def chunked(syntax: Syntax, chunks: Sequence[str], prompt: str = "", *, tools: Any = TOOLS) -> Any:
    """The deltas of an answer that comes in chunks, joined: (text, reasoning, calls)."""
    numbers = iter(range(1000))
    parser = syntax.parser(ParsingContext(prompt, tools, lambda: f"call{next(numbers)}"))
    deltas: list[Delta] = []
    for chunk in chunks:
        deltas += parser.feed(chunk)
    deltas += parser.finish()
    return joined(deltas)


def joined(deltas: Sequence[Delta]) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Deltas put together; a call's id and name come once, and first."""
    text, reasoning = "", ""
    calls: list[list[str]] = []
    for delta in deltas:
        match delta:
            case TextDelta():
                assert delta.text
                text += delta.text
            case ReasoningDelta():
                assert delta.text
                reasoning += delta.text
            case ToolCallDelta():
                if delta.call_index == len(calls):
                    assert delta.id is not None
                    assert delta.name
                    calls.append([delta.name, ""])
                else:
                    assert delta.id is None
                    assert delta.call_index == len(calls) - 1
                calls[-1][1] += delta.arguments
    return text, reasoning, tuple((name, arguments) for name, arguments in calls)


def said(syntax: Syntax, written: str, prompt: str = "") -> Said:
    """What an answer says, its arguments as JSON."""
    text, reasoning, calls = chunked(syntax, [written], prompt)
    return Said(text, reasoning, tuple((name, json.loads(data)) for name, data in calls))


_PARIS = ("weather", {"city": "Paris", "days": 2})
_CLOCK: tuple[str, dict[str, Any]] = ("clock", {})
_MIXED = {"city": 'a "b" \\ <c>\nd é', "days": -1, "hours": [1, 2], "units": "C"}
_THINK_OPEN = "<|im_start|>assistant\n<think>\n"

ANSWERS = (
    Answer("hermes-text", HermesSyntax(), " Hello.\nBye. ", Said(" Hello.\nBye. ")),
    Answer(
        "hermes",
        HermesSyntax(),
        'Let me look.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Paris", "days": 2}}'
        '\n</tool_call>\n<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call>',
        Said("Let me look.", calls=(_PARIS, _CLOCK)),
    ),
    Answer(
        "hermes-thinks",
        HermesSyntax(),
        '<think>\nHm.\n\nYes.\n</think>\n\n<tool_call>\n{"arguments": {"city": "Paris", "days": 2},'
        ' "name": "weather"}\n</tool_call>',
        Said(reasoning="Hm.\n\nYes.", calls=(_PARIS,)),
    ),
    Answer(
        "hermes-thinking-begun",
        HermesSyntax(),
        "Hm.\n</think>\n\nParis.\n",
        Said("Paris.\n", "Hm."),
        _THINK_OPEN,
    ),
    Answer(
        "hermes-never-stops-thinking",
        HermesSyntax(),
        "Hm. <tool_call>",
        Said("", "Hm. <tool_call>"),
        _THINK_OPEN,
    ),
    Answer(
        "hermes-arguments-as-text",
        HermesSyntax(),
        '<tool_call>{"name": "weather", "arguments": "{\\"city\\": \\"Paris\\", \\"days\\": 2}"}'
        "</tool_call>",
        Said(calls=(_PARIS,)),
    ),
    Answer(
        "hermes-no-call",
        HermesSyntax(),
        "Write <tool_call> and </tool_call>, <tool_call>{1}</tool_call>",
        Said("Write <tool_call> and </tool_call>, <tool_call>{1}</tool_call>"),
    ),
    Answer(
        "hermes-list-is-none",
        HermesSyntax(),
        '<tool_call>[1]</tool_call><tool_call>[{"name": "clock", "arguments": {}}, 5]</tool_call>',
        Said("<tool_call>[1]</tool_call>, 5]</tool_call>", calls=(_CLOCK,)),
    ),
    Answer(
        "hermes-call-in-what-is-none",
        HermesSyntax(),
        '<tool_call>{"a": <tool_call>{"name": "clock", "arguments": {}}</tool_call>',
        Said('<tool_call>{"a":', calls=(_CLOCK,)),
    ),
    Answer(
        "hermes-cut-off",
        HermesSyntax(),
        '<tool_call>{"name": "clock", "arguments": {}}</tool_call>\n<tool_c',
        Said(calls=(_CLOCK,)),
    ),
    Answer("hermes-cut-off-at-once", HermesSyntax(), "So: <tool_c", Said("So: <tool_c")),
    Answer(
        "hermes-no-name",
        HermesSyntax(),
        '<tool_call>{"name": "not a name", "arguments": {}}</tool_call>',
        Said('<tool_call>{"name": "not a name", "arguments": {}}</tool_call>'),
    ),
    Answer(
        "hermes-half-a-character",
        HermesSyntax(),
        '<tool_call>{"name": "a\\ud83d", "arguments": "{\\"city\\": \\"\\ud83d\\"}"}</tool_call>',
        Said(calls=(("a\ufffd", {"city": "\ufffd"}),)),
    ),
    Answer("think", ThinkSyntax(), "<think>a</think>b<tool_call>", Said("b<tool_call>", "a")),
    Answer(
        "llama3",
        LlamaSyntax(),
        '{"name": "weather", "parameters": {"city": "Paris", "days": 2}}',
        Said(calls=(_PARIS,)),
    ),
    Answer(
        "llama3-several",
        LlamaSyntax(),
        '<|python_tag|>{"name": "weather", "parameters": {"city": "Paris", "days": 2}}; '
        '{"name": "clock", "parameters": {}}',
        Said(calls=(_PARIS, _CLOCK)),
    ),
    Answer(
        "llama3-built-in",
        LlamaSyntax(),
        '<|python_tag|>weather.call(city="Paris", days=2)',
        Said(calls=(_PARIS,)),
    ),
    Answer(
        "llama3-built-in-odd",
        LlamaSyntax(),
        '<|python_tag|>weather.call(city="a\\d", days={1, 2}, units=b"C")',
        Said(calls=(("weather", {"city": "a\\d", "days": "{1, 2}", "units": 'b"C"'}),)),
    ),
    Answer(
        "llama3-name-of-no-tool",
        LlamaSyntax(),
        '{"name": "Ann", "parameters": {"city": "Paris"}}',
        Said('{"name": "Ann", "parameters": {"city": "Paris"}}'),
    ),
    Answer("llama3-json", LlamaSyntax(), '{"city": "Paris"}', Said('{"city": "Paris"}')),
    Answer(
        "llama3-function",
        LlamaSyntax(),
        'Now: <function=weather>{"city": "Paris", "days": 2}</function>',
        Said("Now:", calls=(_PARIS,)),
    ),
    Answer(
        "mistral-list",
        MistralSyntax("[TOOL_CALLS]"),
        '[TOOL_CALLS][{"name": "weather", "arguments": {"city": "Paris", "days": 2}, "id":'
        ' "abcdefghi"}, {"name": "clock", "arguments": {}}]',
        Said(calls=(_PARIS, _CLOCK)),
    ),
    Answer(
        "mistral-in-prose",
        MistralSyntax("[TOOL_CALLS]"),
        "[TOOL_CALLS] is how I call, [TOOL_CALLS]f[ARGS]nothing",
        Said("[TOOL_CALLS] is how I call, [TOOL_CALLS]f[ARGS]nothing"),
    ),
    Answer(
        "mistral-named",
        MistralSyntax("[TOOL_CALLS][ARGS][THINK]"),
        '[THINK]Hm.[/THINK]Now.[TOOL_CALLS]weather[CALL_ID]abcdefghi[ARGS]{"city": "Paris", "days":'
        " 2}[TOOL_CALLS]clock[ARGS]{}",
        Said("Now.", "Hm.", (_PARIS, _CLOCK)),
    ),
    Answer(
        "qwen3-coder",
        Qwen3CoderSyntax(),
        "Now.\n\n<tool_call>\n<function=weather>\n"
        '<parameter=city>\na "b" \\ <c>\nd é\n</parameter>\n'
        "<parameter=days>\n-1\n</parameter>\n<parameter=hours>\n[1, 2]\n</parameter>\n"
        "<parameter=units>\nC\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n"
        "<function=clock>\n</function>\n</tool_call>",
        Said("Now.", calls=(("weather", _MIXED), _CLOCK)),
    ),
    Answer(
        "qwen3-coder-in-prose",
        Qwen3CoderSyntax(),
        "Write <function= and a name, <tool_call>\n<function=clock>\n</function>\n</tool_call>",
        Said("Write <function= and a name,", calls=(_CLOCK,)),
    ),
    Answer(
        "qwen3-coder-json",
        Qwen3CoderSyntax(),
        '<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call>',
        Said(calls=(_CLOCK,)),
    ),
    Answer(
        "deepseek",
        DeepSeekSyntax("```json"),
        "Hm.</think>Now.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n"
        '```json\n{"city": "Paris", "days": 2}\n```<｜tool▁call▁end｜>\n'
        "<｜tool▁call▁begin｜>function<｜tool▁sep｜>clock\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        Said("Now.", "Hm.", (_PARIS, _CLOCK)),
        "<｜Assistant｜><think>\n",
    ),
    Answer(
        "deepseek-v3.1",
        DeepSeekSyntax(""),
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{"c'
        'ity": "Paris", "days": 2}'
        "<｜tool▁call▁end｜><｜tool▁call▁begin｜>clock<｜tool▁sep｜>{}<｜tool▁call▁end｜>"
        "<｜tool▁calls▁end｜>",
        Said(calls=(_PARIS, _CLOCK)),
    ),
    Answer(
        "deepseek-second-is-none",
        DeepSeekSyntax(""),
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>clock<｜tool▁sep｜>{}<｜tool▁call▁end｜>"
        "<｜tool▁call▁begin｜>no name<｜tool▁sep｜>{}",
        Said("<｜tool▁call▁begin｜>no name<｜tool▁sep｜>{}", calls=(_CLOCK,)),
    ),
    Answer(
        "glm-json",
        GlmSyntax(),
        '<tool_call>{"name": "clock"}\n</tool_call>',
        Said('<tool_call>{"name": "clock"}\n</tool_call>'),
    ),
    Answer(
        "glm",
        GlmSyntax(),
        "\n<think>Hm.</think>\nNow.\n<tool_call>weather\n<arg_key>city"
        '</arg_key>\n<arg_value>a "b" \\'
        " <c>\nd é</arg_value>\n<arg_key>days</arg_key>\n<arg_value>-1</arg_value>\n<arg_key>hours"
        "</arg_key>\n<arg_value>[1, 2]</arg_value>\n<arg_key>units</arg_key>\n<arg_value>C"
        "</arg_value>\n</tool_call>\n<tool_call>clock\n</tool_call>",
        Said("Now.", "Hm.", (("weather", _MIXED), _CLOCK)),
    ),
    Answer(
        "functiongemma",
        GemmaSyntax("<start_function_call>"),
        '<start_function_call>call:weather{city:<escape>a "b" \\ <c>\nd é<escape>,days:-1,'
        "hours:[1,2],units:<escape>C<escape>}<end_function_call><start_function_call>call:clock{}"
        "<end_function_call>",
        Said(calls=(("weather", _MIXED), _CLOCK)),
    ),
    Answer(
        "gemma4",
        GemmaSyntax("<|tool_call><|channel>"),
        '<|channel>thought\nHm.\n<channel|><|tool_call>call:weather{city:<|"|>Paris<|"|>,days:2}'
        "<tool_call|>",
        Said(reasoning="Hm.", calls=(_PARIS,)),
    ),
    Answer(
        "harmony",
        HarmonySyntax(),
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary<|message|>"
        "Now.<|end|><|start|>assistant<|channel|>commentary to=functions.weather <|constrain|>json"
        '<|message|>{"city": "Paris", "days": 2}<|call|>',
        Said("Now.", "Hm.", (_PARIS,)),
    ),
    Answer(
        "harmony-recipient-first",
        HarmonySyntax(),
        "<|start|>assistant to=functions.clock<|channel|>commentary json<|message|>{}",
        Said(calls=(_CLOCK,)),
    ),
    Answer(
        "harmony-final",
        HarmonySyntax(),
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.",
        Said("Yes.", "Hm."),
    ),
    Answer(
        "harmony-several",
        HarmonySyntax(),
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary<|message|>"
        "I look.<|end|><|start|>assistant<|channel|>analysis<|message|>So.<|end|><|start|>assistant"
        "<|channel|>final<|message|>Yes.",
        Said("I look.\nYes.", "Hm.\nSo."),
    ),
    Answer("harmony-forgotten", HarmonySyntax(), "Yes.", Said("Yes.")),
    Answer(
        "granite",
        GraniteSyntax(),
        '<|tool_call|>[{"name": "weather", "arguments": {"city": "Paris", "days": 2}}, {"name":'
        ' "clock", "arguments": {}}]',
        Said(calls=(_PARIS, _CLOCK)),
    ),
    Answer(
        "granite-thinks",
        GraniteSyntax(),
        "<think>Hm.</think>\n<response>Yes.</response>",
        Said("Yes.", "Hm."),
    ),
    Answer(
        "command",
        CommandSyntax(),
        "<|START_THINKING|>Hm.<|END_THINKING|><|START_ACTION|>[\n    {"
        '"tool_call_id": "0", "tool_name": "weather", "parameters": {"'
        'city": "Paris", "days": 2}},\n'
        '    {"tool_call_id": "1", "tool_name": "clock", "parameters": {}}\n]<|END_ACTION|>',
        Said(reasoning="Hm.", calls=(_PARIS, _CLOCK)),
    ),
    Answer(
        "command-response",
        CommandSyntax(),
        "<|START_RESPONSE|>Yes.<|END_RESPONSE|>",
        Said("Yes."),
    ),
    Answer(
        "liquid",
        LiquidSyntax(),
        "Now.<|tool_call_start|>[weather(city='a \"b\" \\\\ <c>\nd é', days=-1, hours=[1, 2],"
        ' units="C"), clock()]<|tool_call_end|>',
        Said("Now.", calls=(("weather", _MIXED), _CLOCK)),
    ),
    Answer(
        "liquid-json",
        LiquidSyntax(),
        '<|tool_call_start|>[{"name": "clock", "arguments": {}}]<|tool_call_end|>',
        Said(calls=(_CLOCK,)),
    ),
    Answer(
        "liquid-nested",
        LiquidSyntax(),
        "<|tool_call_start|>[weather(city=\"it's (a), [b]\", hours=[True, None, {'a': (1,)}],"
        " x=y)]",
        Said(
            calls=(
                (
                    "weather",
                    {"city": "it's (a), [b]", "hours": [True, None, {"a": [1]}], "x": "y"},
                ),
            )
        ),
    ),
    Answer(
        "automatic-lines",
        derived(LINES),
        '<tool_calls>\n{"name": "weather", "arguments": {"city": "Paris", "days": 2}}\n'
        '{"name": "clock", "arguments": {}}\n</tool_calls>',
        Said(calls=(_PARIS, _CLOCK)),
    ),
    Answer(
        "automatic-keyed",
        derived(KEYED),
        'Now.<|tools|>[{"weather": {"city": "Paris", "days": 2}}, {"clock": {}}]<|tools_end|>',
        Said("Now.", calls=(_PARIS, _CLOCK)),
    ),
    Answer(
        "automatic-single",
        derived(SINGLE),
        '<|function_call|>{"name": "weather", "arguments": {"city": "Paris", "days": 2}}',
        Said(calls=(_PARIS,)),
    ),
    Answer(
        "automatic-ids",
        derived(WITH_IDS),
        '<|calls|><|call|>aB3<|name|>weather<|args|>{"city": "Paris", "days": 2}<|call_end|>'
        "<|call|>x-1<|name|>clock<|args|>{}<|call_end|><|calls_end|>",
        Said(calls=(_PARIS, _CLOCK)),
    ),
    Answer(
        "automatic-typed",
        derived(TYPED),
        '<calls>\n<invoke name="weather">\n<parameter name="city" string="true">Paris</parameter>\n'
        '<parameter name="days" string="false">2</parameter>\n'
        '<parameter name="more" string="true">2</parameter>\n</invoke>\n</calls>',
        Said(calls=(("weather", {"city": "Paris", "days": 2, "more": "2"}),)),
    ),
    Answer(
        "automatic-tags",
        derived(INVOKES),
        'Now.\n<calls>\n<invoke name="weather">\n<parameter name="city">Paris</parameter>\n'
        '<parameter name="days">2</parameter>\n</invoke>\n<invoke name'
        '="clock">\n</invoke>\n</calls>',
        Said("Now.", calls=(_PARIS, _CLOCK)),
    ),
    Answer(
        "automatic-list",
        derived(LISTED),
        '<TOOLS>[{"name": "weather", "arguments": {"city": "Paris", "days": 2}}, {"name": "clock",'
        ' "arguments": {}}]</TOOLS>',
        Said(calls=(_PARIS, _CLOCK)),
    ),
    Answer(
        "automatic-numbered",
        derived(NUMBERED),
        '<|section|><|call|>functions.weather:0<|arguments|>{"city": "Paris", "days": 2}<|done|>'
        "<|call|>functions.clock:1<|arguments|>{}<|done|><|over|>",
        Said(calls=(_PARIS, _CLOCK)),
    ),
)
