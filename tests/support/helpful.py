"""A text engine that does what a capable model would: it calls tools, sees images, follows forms.

What it says follows from the request alone, so tests and conformance tools get what they ask for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from stoker.engine import EngineInfo, Modality, Piece, TextEngine
from stoker.events import ReasoningDelta, ToolCallDelta
from stoker.messages import Author, ImagePart, Tool, ToolChoiceMode
from stoker.parser import new_call_id
from stoker.request import ChatPrompt, GenerateRequest

_EXAMPLES: dict[str, Any] = {
    "string": "Paris",
    "integer": 2,
    "number": 2.5,
    "boolean": True,
    "array": [],
    "null": None,
}


class HelpfulEngine(TextEngine):
    """Calls every tool that it may, once; after their results it answers."""

    calls_tools = True

    @property
    def info(self) -> EngineInfo:
        """What was loaded."""
        return EngineInfo(
            context_length=100_000,
            vocabulary_size=0,
            modalities=frozenset({Modality.TEXT, Modality.IMAGE}),
        )

    def generate(self, request: GenerateRequest, *, index: int) -> Iterator[Piece]:
        """Answer."""
        del index
        prompt = request.prompt
        if isinstance(prompt, ChatPrompt):
            tools = _callable(prompt)
            forced = prompt.tool_choice.mode is ToolChoiceMode.REQUIRED
            if tools and (forced or prompt.messages[-1].author is not Author.TOOL):
                return _calls(tools)
            images = sum(
                isinstance(part, ImagePart) for message in prompt.messages for part in message.parts
            )
            if images:
                return iter(["I ", "see ", f"{images} ", "red ", "hearts."])
            return iter([ReasoningDelta("Hm."), "It ", "is ", "sunny: ", "1, 2, 3, 4, 5."])
        return iter(["Once ", "upon ", "a ", "time."])

    def close(self) -> None:
        """There is nothing to free."""


def _callable(prompt: ChatPrompt) -> list[Tool]:
    if prompt.tool_choice.mode is ToolChoiceMode.NONE:
        return []
    named = prompt.tool_choice.name
    tools = [tool for tool in prompt.tools if named in (None, tool.name)]
    return tools if prompt.parallel_tool_calls else tools[:1]


def _calls(tools: list[Tool]) -> Iterator[Piece]:
    for number, tool in enumerate(tools):
        yield ToolCallDelta(number, id=new_call_id(), name=tool.name)
        arguments = json.dumps(_example(dict(tool.parameters)))
        half = len(arguments) // 2
        yield ToolCallDelta(number, arguments=arguments[:half])
        yield ToolCallDelta(number, arguments=arguments[half:])


def _example(schema: dict[str, Any]) -> Any:
    if schema.get("enum"):
        return schema["enum"][0]
    if schema.get("type", "object") == "object":
        properties = schema.get("properties") or {}
        return {name: _example(each) for name, each in properties.items()}
    return _EXAMPLES.get(str(schema["type"]))
