"""Admission: what is refused by name before it costs anything."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from stoker.engine import TEXT_ONLY, Modality, Mode
from stoker.errors import InvalidRequestError, UnsupportedFeatureError
from stoker.messages import AudioPart, ImagePart, TextPart
from stoker.request import (
    ChatPrompt,
    EmbedRequest,
    GenerateRequest,
    RerankRequest,
    TextPrompt,
)

_MODES: dict[type, Mode] = {
    GenerateRequest: Mode.GENERATE,
    EmbedRequest: Mode.EMBED,
    RerankRequest: Mode.RERANK,
}
_MODALITIES = {
    TextPart: Modality.TEXT,
    ImagePart: Modality.IMAGE,
    AudioPart: Modality.AUDIO,
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


def check_features(request: GenerateRequest, modalities: AbstractSet[Modality] = TEXT_ONLY) -> None:
    """Refuse what the text pipeline or the model cannot do.

    Raises:
        InvalidRequestError: The conversation is empty, its tools do not fit together, or a
            constraint is to be gone beyond.
        UnsupportedFeatureError: The request wants adapters, or has images or audio for a model that
            takes none.
    """
    if request.constraint is not None and request.ignore_end:
        raise InvalidRequestError(
            "A constraint says where the answer ends, so the end cannot be ignored: leave one out.",
            param=request.constraint.param,
        )
    if request.adapters:
        raise UnsupportedFeatureError("Adapters are not supported.", param="adapters")
    if request.echo and isinstance(request.prompt, ChatPrompt):
        raise InvalidRequestError("A conversation cannot be echoed.", param="echo")
    prompts = (request.prompt, *request.more_prompts)
    if request.echo and any(isinstance(item, TextPrompt) and item.suffix for item in prompts):
        raise InvalidRequestError("A text that is filled in cannot be echoed.", param="echo")
    if request.more_prompts and isinstance(request.prompt, ChatPrompt):
        raise InvalidRequestError("A conversation has no further prompts.", param="prompt")
    if isinstance(request.prompt, ChatPrompt):
        _check_chat(request.prompt, modalities)
        if request.prompt.continue_final_message:
            _check_continued(request, request.prompt)


def _check_continued(request: GenerateRequest, prompt: ChatPrompt) -> None:
    if request.constraint is not None or prompt.tool_choice.forced:
        # The form is that of a whole answer, of which a part is there already.
        param = request.constraint.param if request.constraint is not None else "tool_choice"
        raise InvalidRequestError(
            f"{param}: an answer that is begun cannot be given a form: leave one of them out.",
            param=param,
        )


def _check_chat(prompt: ChatPrompt, modalities: AbstractSet[Modality]) -> None:
    if not prompt.messages:
        raise InvalidRequestError("messages must not be empty.", param="messages")
    names = [tool.name for tool in prompt.tools]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InvalidRequestError(
            f"Two tools have the name {min(twice)!r}: give each its own.", param="tools"
        )
    choice = prompt.tool_choice
    if choice.forced and (not names or (choice.name is not None and choice.name not in names)):
        raise InvalidRequestError(
            f"tool_choice wants {choice.name or 'a call'}, but there is no such tool.",
            param="tool_choice",
        )
    for message in prompt.messages:
        for part in message.parts:
            if _MODALITIES[type(part)] not in modalities:
                raise UnsupportedFeatureError(
                    f"This model takes no {_MODALITIES[type(part)]}: leave it out, or choose"
                    " another model.",
                    param="messages",
                )
