"""Messages: from the JSON form to the domain's, with errors that name the place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stoker.messages import AudioPart, Author, Message, Part, TextPart, ToolCall
from stoker_litestar.dialects.json_body import field_error
from stoker_litestar.dialects.media import decode_base64, image_of_url, refused_part
from stoker_litestar.dialects.openai.wire.chat_message import (
    AssistantMessage,
    AudioContent,
    ChatMessage,
    DeveloperMessage,
    FileContent,
    ImageContent,
    RefusalContent,
    SystemMessage,
    TextContent,
    ToolMessage,
)

_AUTHORS = {SystemMessage: Author.SYSTEM, DeveloperMessage: Author.DEVELOPER}
_AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}

Content = TextContent | ImageContent | AudioContent | FileContent | RefusalContent


def messages_of(wire: Sequence[ChatMessage]) -> tuple[Message, ...]:
    """Convert a conversation.

    Raises:
        InvalidRequestError: A message is malformed; names its field, like `messages[3].content`.
        UnsupportedFeatureError: A message has a part of a kind that is not taken.
    """
    return tuple(_message(message, f"messages[{i}]") for i, message in enumerate(wire))


def _message(wire: ChatMessage, path: str) -> Message:
    if isinstance(wire, AssistantMessage):
        return _assistant(wire, path)
    parts = _parts(wire.content, f"{path}.content")
    if isinstance(wire, ToolMessage):
        return Message(Author.TOOL, parts, tool_call_id=wire.tool_call_id, name=wire.name)
    return Message(_AUTHORS.get(type(wire), Author.USER), parts, name=wire.name)


def _assistant(wire: AssistantMessage, path: str) -> Message:
    if wire.function_call is not None:
        raise refused_part(f"{path}.function_call", "it was replaced by tool_calls: use that")
    if wire.audio is not None:
        raise refused_part(f"{path}.audio", "answers of the past are text only")
    parts = _parts(wire.content or (), f"{path}.content")
    if wire.refusal:
        parts += (TextPart(wire.refusal),)
    calls = tuple(
        ToolCall(call.id, call.function.name, call.function.arguments)
        for call in wire.tool_calls or ()
    )
    if wire.content is None and not (parts or calls or wire.reasoning_content):
        raise field_error(f"{path}.content", "it is required when there are no tool_calls")
    return Message(
        Author.ASSISTANT,
        parts,
        tool_calls=calls,
        reasoning=wire.reasoning_content,
        name=wire.name,
    )


def _parts(content: str | Iterable[Content], path: str) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (TextPart(content),) if content else ()
    return tuple(_part(part, f"{path}[{i}]") for i, part in enumerate(content))


def _part(wire: Content, path: str) -> Part:
    match wire:
        case TextContent(text=text):
            return TextPart(text)
        case RefusalContent(refusal=text):
            return TextPart(text)
        case ImageContent(image_url=image):
            return image_of_url(image.url, f"{path}.image_url.url")
        case AudioContent(input_audio=audio):
            data = decode_base64(audio.data, f"{path}.input_audio.data")
            return AudioPart(data, _AUDIO_TYPES[audio.format])
        case FileContent():
            raise refused_part(f"{path}.file", "files are not read: send their text")
