"""A backend that plays a part: it calls tools, sees images and thinks, always in the same way.

No model is as predictable, so what clients make of calls and of thinking is tested with it. Its
weights are any file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import stoker
from stoker.artifact import ModelBundle
from stoker.backend import BackendSpec, LoadProgress, always_available
from stoker.engine import EngineInfo, Modality, Piece, TextEngine
from stoker.events import ReasoningDelta, ToolCallDelta
from stoker.formats import FormatRule
from stoker.media_types import MediaType, Role
from stoker.messages import Author, ImagePart, Tool, ToolChoiceMode
from stoker.request import ChatPrompt, GenerateRequest

MEDIA_TYPE = MediaType("application/vnd.stoker.test.actor")


class ActorEngine(TextEngine):
    """Plays; `_lines` is the part."""

    calls_tools = True

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(
            context_length=100_000,
            vocabulary_size=0,
            devices=("stage",),
            modalities=frozenset({Modality.TEXT, Modality.IMAGE}),
        )

    def generate(self, request: GenerateRequest, *, index: int) -> Iterator[Piece]:
        del index  # Every choice gets the same answer.
        return _lines(request)

    def close(self) -> None:
        pass


def _lines(request: GenerateRequest) -> Iterator[Piece]:
    """Think when told to; call when told to; else say what was heard."""
    prompt = request.prompt
    if not isinstance(prompt, ChatPrompt):
        yield "I only chat."
        return
    if prompt.reasoning.enabled:
        yield ReasoningDelta("Let me ")
        yield ReasoningDelta("think.")
    last = prompt.messages[-1]
    called = _called(prompt)
    if last.author is Author.TOOL:
        yield "The tool "
        yield f"said: {last.text}"
    elif called:
        for number, tool in enumerate(called):
            arguments = json.dumps(_example(tool.parameters))
            call_id = f"call_{len(prompt.messages)}_{number}"
            yield ToolCallDelta(number, id=call_id, name=tool.name)
            yield ToolCallDelta(number, arguments=arguments[:3])
            yield ToolCallDelta(number, arguments=arguments[3:])
    elif any(isinstance(part, ImagePart) for part in last.parts):
        yield "I see a "
        yield "picture."
    else:
        yield f"({len(prompt.messages)}) You said: "
        yield last.text


def _called(prompt: ChatPrompt) -> list[Tool]:
    """What is called: what must be, or every tool that the last message names."""
    choice = prompt.tool_choice
    if choice.mode is ToolChoiceMode.NONE:
        return []
    named = [tool for tool in prompt.tools if tool.name in prompt.messages[-1].text]
    if choice.name is not None:
        return [tool for tool in prompt.tools if tool.name == choice.name]
    if choice.mode is ToolChoiceMode.REQUIRED and not named:
        return list(prompt.tools[:1])
    return named if prompt.parallel_tool_calls else named[:1]


def _example(schema: Mapping[str, Any]) -> Any:
    """Something that follows a simple schema."""
    match schema.get("type"):
        case "object":
            required = schema.get("required", list(schema.get("properties", {})))
            return {name: _example(schema["properties"][name]) for name in required}
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case "array":
            return []
        case _:
            return "something"


def load(bundle: ModelBundle, options: Any, progress: LoadProgress) -> ActorEngine:
    del bundle, options, progress
    return ActorEngine()


@stoker.hookimpl
def stoker_register_backends() -> list[BackendSpec]:
    return [BackendSpec("actor", (MEDIA_TYPE,), load, probe=always_available)]


@stoker.hookimpl
def stoker_register_formats() -> list[FormatRule]:
    return [FormatRule(Role.WEIGHTS, media_type=MEDIA_TYPE)]
