"""Tools in words: for models whose chat template has no place for tools, calls or results.

Such models get the descriptions of the tools in the system message, and calls of the past as text,
in the syntax that `stoker.parsers.hermes` reads back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import attrs

from stoker.messages import Author, Message, TextPart, Tool, ToolCall

_INSTRUCTION = """\
You can call functions. These are the functions, one JSON object a line:
{tools}
To call a function, answer with nothing but its name and arguments as JSON between tags:
<tool_call>
{{"name": "function name", "arguments": {{"parameter": "value"}}}}
</tool_call>
Repeat that for each call. The results come in <tool_response> tags."""


def with_tools(messages: Sequence[Message], tools: Sequence[Tool]) -> list[Message]:
    """Tell of tools in the system message, which is added where there is none."""
    lines = "\n".join(
        json.dumps(
            {
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters),
            },
            ensure_ascii=False,
        )
        for tool in tools
    )
    words = TextPart(_INSTRUCTION.format(tools=lines))
    first = messages[0] if messages else None
    if first is not None and first.author in (Author.SYSTEM, Author.DEVELOPER):
        parts = (*first.parts, TextPart("\n\n"), words)
        return [attrs.evolve(first, parts=parts), *messages[1:]]
    return [Message(Author.SYSTEM, (words,)), *messages]


def with_calls(messages: Sequence[Message]) -> list[Message]:
    """Write calls of the past out, in the text of their messages."""
    return [_in_words(message) if message.tool_calls else message for message in messages]


def _in_words(message: Message) -> Message:
    calls = TextPart("\n".join(map(_call, message.tool_calls)))
    parts = (*message.parts, TextPart("\n"), calls) if message.text else (calls,)
    return attrs.evolve(message, parts=parts, tool_calls=())


def with_results(messages: Sequence[Message]) -> list[Message]:
    """Make results the user's words, those of several calls in one message."""
    told: list[Message] = []
    after_result = False
    for message in messages:
        is_result = message.author is Author.TOOL
        if is_result:
            parts = (
                TextPart("<tool_response>\n"),
                *message.parts,
                TextPart("\n</tool_response>"),
            )
            if after_result:
                told[-1] = attrs.evolve(told[-1], parts=(*told[-1].parts, TextPart("\n"), *parts))
            else:
                told.append(Message(Author.USER, parts))
        else:
            told.append(message)
        after_result = is_result
    return told


def _call(call: ToolCall) -> str:
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        # A model may have written broken JSON; it is shown as it was.
        arguments = call.arguments
    body = json.dumps({"name": call.name, "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"
