"""Admission: what is refused by name before it costs anything."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from stoker.engine import Mode
from stoker.errors import InvalidRequestError, UnsupportedFeatureError
from stoker.messages import TextPart, ToolChoiceMode
from stoker.request import ChatPrompt, EmbedRequest, GenerateRequest, RerankRequest

_MODES: dict[type, Mode] = {
    GenerateRequest: Mode.GENERATE,
    EmbedRequest: Mode.EMBED,
    RerankRequest: Mode.RERANK,
}
_WORDS = {
    Mode.GENERATE: "generates text",
    Mode.EMBED: "makes embeddings",
    Mode.RERANK: "ranks documents",
}


def check_mode(
    request: GenerateRequest | EmbedRequest | RerankRequest, modes: AbstractSet[Mode]
) -> None:
    """Refuse what a model is not for.

    Raises:
        UnsupportedFeatureError: The request wants something else; the message says what the model
            is for.
    """
    wanted = _MODES[type(request)]
    if wanted not in modes:
        able = " and ".join(_WORDS[mode] for mode in Mode if mode in modes)
        raise UnsupportedFeatureError(
            f"{request.model} {able}; a request like this needs a model that {_WORDS[wanted]}.",
            param="model",
        )


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
