"""Chat templates: from a conversation to the text that the model was trained on."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from stoker.errors import InvalidArtifactError, InvalidRequestError, UnsupportedFeatureError
from stoker.messages import Author, Message, TextPart, Tool, ToolCall
from stoker.text.template_limits import TemplateLimitError

if TYPE_CHECKING:
    from jinja2 import Template

MAX_SOURCE_CHARS = 1024 * 1024
_RESERVED = frozenset({"messages", "tools", "add_generation_prompt"})
_NEEDLE = "stoker-needle"
_RESULT = "stoker-result"
_SHORT_ID = re.compile(r"[a-zA-Z0-9]{9}")
_MISSING = re.compile(r"\b(None|null)\b")


@attrs.frozen
class _ToolCallShape:
    """In which form a template wants the calls of an assistant."""

    arguments_parsed: bool
    """The arguments as an object, not as JSON text."""
    content: str | None
    """The content of a message that has none."""


# What transformers' documentation shows comes first.
_TOOL_CALL_SHAPES = tuple(
    _ToolCallShape(arguments_parsed, content)
    for arguments_parsed in (True, False)
    for content in (None, "")
)


class ChatTemplate:
    """A compiled template, as Hugging Face transformers and GGUF files have them.

    Templates differ in the form in which they want messages. As no file says so, the form is
    found by rendering a small conversation and looking for its words in the result.
    """

    def __init__(self, source: str, special_tokens: Mapping[str, str]) -> None:
        """Compile.

        Args:
            source: The Jinja source.
            special_tokens: Texts by the names that templates use (`bos_token`, ...).

        Raises:
            InvalidArtifactError: The source is too long or does not compile.
        """
        if len(source) > MAX_SOURCE_CHARS:
            raise InvalidArtifactError(
                f"The model's chat template is longer than {MAX_SOURCE_CHARS} characters."
            )
        self.source = source
        self._template = _compile(source)
        # Templates join these to other texts, which fails when they are not defined at all.
        self._special_tokens = {"bos_token": "", "eos_token": "", **special_tokens}
        self._knows_developer = "developer" in source
        # gpt-oss's name for it.
        self._calls_it_thinking = "message.thinking" in source
        # Mistral's models were trained on ids of one length, and their templates refuse others.
        self._short_ids = "length != 9" in source

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        add_generation_prompt: bool = True,
        arguments: Mapping[str, Any] | None = None,
    ) -> str:
        """Write a conversation out.

        Args:
            messages: The conversation. The developer's messages become the system's when the
                template does not know developers.
            tools: What the model may call.
            add_generation_prompt: End with the beginning of the assistant's next message.
            arguments: Further variables for the template (JSON values).

        Raises:
            InvalidRequestError: The template refuses this conversation, or fails on it.
            UnsupportedFeatureError: A message has a part that is not text.
        """
        arguments = arguments or {}
        if clash := _RESERVED & arguments.keys():
            raise InvalidRequestError(
                f"{', '.join(sorted(clash))} cannot be set as a template argument:"
                " use the request's own fields.",
                param="chat_template_kwargs",
            )
        return self._rendered(
            [self._message(message) for message in messages],
            tools=[_tool(tool) for tool in tools] or None,
            add_generation_prompt=add_generation_prompt,
            **arguments,
        )

    def _rendered(self, messages: list[dict[str, Any]], **variables: Any) -> str:
        # This imports jinja2.
        from stoker.text.template_sandbox import TemplateRefusalError, rendered  # noqa: PLC0415

        variables = {**self._special_tokens, **variables, "messages": messages}
        try:
            return rendered(self._template, variables)
        except TemplateRefusalError as exc:
            raise InvalidRequestError(str(exc), param="messages") from exc
        except TemplateLimitError as exc:
            raise InvalidRequestError(
                f"The model's chat template was stopped: {exc}.", param="messages"
            ) from exc
        except Exception as exc:  # a template can raise anything
            raise InvalidRequestError(
                "The model's chat template cannot render this conversation:"
                f" {str(exc).rstrip('.')}.",
                param="messages",
            ) from exc

    def _message(self, message: Message) -> dict[str, Any]:
        role = message.author.value
        if message.author is Author.DEVELOPER and not self._knows_developer:
            role = Author.SYSTEM.value
        result: dict[str, Any] = {"role": role, "content": self._content(message)}
        if message.tool_calls:
            shape = self._tool_call_shape
            if not message.parts:
                result["content"] = shape.content
            result["tool_calls"] = [
                _tool_call(attrs.evolve(call, id=self._id(call.id)), shape)
                for call in message.tool_calls
            ]
        if message.tool_call_id is not None:
            result["tool_call_id"] = self._id(message.tool_call_id)
        if message.name is not None:
            result["name"] = message.name
        if message.reasoning is not None:
            result["reasoning_content"] = message.reasoning
            if self._calls_it_thinking:
                result["thinking"] = message.reasoning
        return result

    def _id(self, given: str) -> str:
        """A call's id, in the form that the template takes."""
        if not self._short_ids or _SHORT_ID.fullmatch(given):
            return given
        return hashlib.sha256(given.encode("utf-8", "replace")).hexdigest()[:9]

    def _content(self, message: Message) -> str | list[dict[str, str]]:
        if any(not isinstance(part, TextPart) for part in message.parts):
            raise UnsupportedFeatureError(
                "This model takes text only: leave images and audio out.", param="messages"
            )
        if self._wants_parts:
            return [{"type": "text", "text": message.text}]
        return message.text

    @functools.cached_property
    def _wants_parts(self) -> bool:
        """Whether a message's content must be a list of typed parts."""
        plain, typed = (
            self._tried([{"role": "user", "content": content}])
            for content in (_NEEDLE, [{"type": "text", "text": _NEEDLE}])
        )
        return _NEEDLE not in (plain or "") and _NEEDLE in (typed or "")

    @functools.cached_property
    def writes_tools(self) -> bool:
        """Whether the template tells the model of tools."""
        tool = Tool(_NEEDLE, _NEEDLE, {"type": "object", "properties": {}})
        text = self._tried([{"role": "user", "content": "-"}], [tool])
        return text is not None and _NEEDLE in text

    @functools.cached_property
    def writes_calls(self) -> bool:
        """Whether the template writes out calls of the past."""
        return _NEEDLE in (self._tried(_tool_conversation(self._tool_call_shape)) or "")

    @functools.cached_property
    def writes_results(self) -> bool:
        """Whether the template writes out the results of calls."""
        messages = _tool_conversation(self._tool_call_shape)
        messages[2]["content"] = _RESULT
        return _RESULT in (self._tried(messages) or "")

    @functools.cached_property
    def _tool_call_shape(self) -> _ToolCallShape:
        """The first shape in which the template writes a call out in JSON's words.

        Of templates that write no calls, the first shape that they can bear.
        """
        best = ((False, False), _TOOL_CALL_SHAPES[0])
        for shape in _TOOL_CALL_SHAPES:
            text = self._tried(_tool_conversation(shape))
            # Python's quotes betray an object that the template took for JSON text.
            written = text is not None and _NEEDLE in text and f"'{_NEEDLE}'" not in text
            # Some write a missing content out as a word.
            if text is not None and written and not _MISSING.search(text):
                return shape
            rank = (written, text is not None)
            if any(rank) and rank > best[0]:
                best = (rank, shape)
        return best[1]

    def _tried(self, messages: list[dict[str, Any]], tools: Sequence[Tool] = ()) -> str | None:
        shown = [_tool(tool) for tool in tools] or None
        try:
            return self._rendered(messages, tools=shown, add_generation_prompt=False)
        except InvalidRequestError:
            return None


def _tool_conversation(shape: _ToolCallShape) -> list[dict[str, Any]]:
    # Some templates want ids of exactly nine letters and digits.
    call = ToolCall(id="call00000", name="f", arguments=json.dumps({_NEEDLE: 1}))
    return [
        {"role": "user", "content": "-"},
        {"role": "assistant", "content": shape.content, "tool_calls": [_tool_call(call, shape)]},
        {"role": "tool", "content": "-", "tool_call_id": call.id, "name": call.name},
        {"role": "assistant", "content": "-"},
        {"role": "user", "content": "-"},
    ]


def _compile(source: str) -> Template:
    from stoker.text.template_sandbox import compiled  # noqa: PLC0415 - imports jinja2

    try:
        return compiled(source)
    except Exception as exc:  # also RecursionError and what constant folding raises
        raise InvalidArtifactError(f"The model's chat template does not compile: {exc}.") from exc


def _tool_call(call: ToolCall, shape: _ToolCallShape) -> dict[str, Any]:
    arguments: Any = call.arguments
    if shape.arguments_parsed:
        try:
            arguments = json.loads(call.arguments)
        except ValueError:
            # A model may have written broken JSON; it is shown as it was.
            arguments = call.arguments
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.parameters),
        },
    }
