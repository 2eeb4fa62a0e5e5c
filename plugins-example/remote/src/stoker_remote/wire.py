"""The JSON of the OpenAI API, as far as it is needed to ask: wire forms here, domain elsewhere.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from stoker.errors import InvalidRequestError, UnsupportedFeatureError
from stoker.messages import Message, TextPart
from stoker.request import ChatPrompt, GenerateRequest, TextPrompt

DATA = "data:"
END = "[DONE]"


class RemoteModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A weights file: where the model is."""

    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s]+$")]
    """Of the API, with its version: `http://gpu.example:8000/v1`."""
    model: str
    """As that server calls it."""
    context_length: Annotated[int, msgspec.Meta(ge=1)] = 8192


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)
    text: str = ""


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    error: Any = None


_CHUNKS = msgspec.json.Decoder(_Chunk)


def body_of(request: GenerateRequest, model: str, index: int) -> tuple[str, dict[str, Any]]:
    """The path and the body that ask for one choice.

    Raises:
        UnsupportedFeatureError: The request wants something that is not passed on.
    """
    _refuse(request)
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "stream": True,
        "max_tokens": request.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        # Each choice is asked for by itself, and another one is wanted for each.
        "seed": None if sampling.seed is None else sampling.seed + index,
    }
    body = {key: value for key, value in body.items() if value is not None}
    if request.ignore_end:
        body["ignore_eos"] = True
    match request.prompt:
        case ChatPrompt(messages=messages):
            body["messages"] = [_message(message) for message in messages]
            return "chat/completions", body
        case TextPrompt(text):
            body["prompt"] = text
            return "completions", body
        case _:
            raise UnsupportedFeatureError(
                "A remote model has its own tokens: send text or messages.", param="prompt"
            )


def _refuse(request: GenerateRequest) -> None:
    """Refuse by name what would otherwise be dropped in silence."""
    chat = request.prompt if isinstance(request.prompt, ChatPrompt) else None
    unsupported = {
        "constraint": request.constraint is not None,
        "adapters": bool(request.adapters),
        "tools": chat is not None and bool(chat.tools),
        "logprobs": request.sampling.logprobs is not None,
        "logit_bias": bool(request.sampling.logit_bias),
        "penalty_window": request.sampling.penalty_window is not None,
    }
    for param, wanted in unsupported.items():
        if wanted:
            raise UnsupportedFeatureError(
                f"{param} is not passed on to remote models: leave it out.", param=param
            )


def _message(message: Message) -> dict[str, str]:
    if message.tool_calls or not all(isinstance(part, TextPart) for part in message.parts):
        raise UnsupportedFeatureError(
            "Remote models get text only: leave images, audio and tool calls out.",
            param="messages",
        )
    return {"role": message.author.value, "content": message.text}


def piece_of(line: str) -> str | None:
    """The text of a line of the stream; empty for lines without one, None at the end.

    Raises:
        InvalidRequestError: The line is an error, or nothing of this API.
    """
    if not line.startswith(DATA):
        return ""
    data = line.removeprefix(DATA).strip()
    if data == END:
        return None
    try:
        chunk = _CHUNKS.decode(data)
    except msgspec.DecodeError as exc:
        raise InvalidRequestError(f"The remote server's answer cannot be read: {exc}.") from exc
    if chunk.error is not None:
        raise InvalidRequestError(f"The remote server failed: {error_text(chunk.error)}")
    return "".join(choice.delta.content or choice.text for choice in chunk.choices)


def error_text(error: Any) -> str:
    """The words of an error object, whatever form it has."""
    if isinstance(error, dict):
        error = error.get("error", error)
    if isinstance(error, dict):
        error = error.get("message", error)
    return str(error)[:500]
