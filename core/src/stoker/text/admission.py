"""Admission: what is refused by name before it costs anything."""

from __future__ import annotations

from stoker.errors import InvalidRequestError, UnsupportedFeatureError
from stoker.messages import TextPart, ToolChoiceMode
from stoker.request import ChatPrompt, GenerateRequest


def check_features(request: GenerateRequest) -> None:
    """Refuse what the text pipeline cannot do, for any engine.

    Raises:
        InvalidRequestError: The conversation is empty, or a constraint is to be gone beyond.
        UnsupportedFeatureError: The request wants adapters, tools, images or audio.
    """
    if request.constraint is not None and request.ignore_end:
        raise InvalidRequestError(
            "A constraint says where the answer ends, so the end cannot be ignored: leave one out.",
            param=request.constraint.param,
        )
    if request.adapters:
        raise UnsupportedFeatureError("Adapters are not supported.", param="adapters")
    if isinstance(request.prompt, ChatPrompt):
        _check_chat(request.prompt)


def _check_chat(prompt: ChatPrompt) -> None:
    if not prompt.messages:
        raise InvalidRequestError("messages must not be empty.", param="messages")
    if prompt.tool_choice.mode is not ToolChoiceMode.NONE:
        if prompt.tools:
            raise UnsupportedFeatureError(
                "Tool calls are not supported: leave the tools out, or choose none.", param="tools"
            )
        if prompt.tool_choice.mode is ToolChoiceMode.REQUIRED or prompt.tool_choice.name:
            raise UnsupportedFeatureError("Tool calls are not supported.", param="tool_choice")
    for message in prompt.messages:
        if any(not isinstance(part, TextPart) for part in message.parts):
            raise UnsupportedFeatureError(
                "Images and audio are not supported: send text only.", param="messages"
            )
