"""Chat and generate: from a request's bytes to the internal request, or to a command."""

from __future__ import annotations

import functools

import msgspec

from stoker.dialect import Call, CommandCall
from stoker.management import LoadModel, UnloadModels
from stoker.messages import Author, Message, TextPart
from stoker.request import ChatPrompt, GenerateRequest, Prompt, TextPrompt
from stoker_litestar.dialects.json_body import decode_body, field_error
from stoker_litestar.dialects.ollama.answer import (
    AnswerEncoder,
    LoadEncoder,
    Shape,
    chat_shape,
    generate_shape,
)
from stoker_litestar.dialects.ollama.duration import keep_alive_s
from stoker_litestar.dialects.ollama.generation_fields import CHAT_FIELDS, GENERATE_FIELDS
from stoker_litestar.dialects.ollama.image import images_of
from stoker_litestar.dialects.ollama.messages import messages_of, tools_of
from stoker_litestar.dialects.ollama.option_fields import OPTION_FIELDS
from stoker_litestar.dialects.ollama.wire.generation import (
    ChatBody,
    GenerateBody,
    GenerationFields,
)

_CHAT = msgspec.json.Decoder(ChatBody)
_GENERATE = msgspec.json.Decoder(GenerateBody)


def decode_chat(body: bytes) -> Call | CommandCall:
    """Decode the body of `POST /api/chat`.

    Raises:
        InvalidRequestError: A field is unknown, malformed, out of range or refused; names it.
    """
    wire = decode_body(_CHAT, body)
    CHAT_FIELDS.check(wire)
    if not wire.messages:
        return _loading(wire, chat_shape)
    messages = messages_of(wire.messages)
    last = messages[-1]
    prompt = ChatPrompt(
        messages=messages,
        tools=tools_of(wire.tools),
        continue_final_message=(
            last.author is Author.ASSISTANT and bool(last.text) and not last.tool_calls
        ),
        reasoning=wire.reasoning(),
    )
    return _call(wire, prompt, chat_shape)


def decode_generate(body: bytes) -> Call | CommandCall:
    """Decode the body of `POST /api/generate`.

    Raises:
        InvalidRequestError: A field is unknown, malformed, out of range or refused; names it.
    """
    wire = decode_body(_GENERATE, body)
    GENERATE_FIELDS.check(wire)
    if not (wire.prompt or wire.suffix or wire.images):
        return _loading(wire, generate_shape)
    return _call(wire, _prompt(wire), generate_shape)


def _prompt(wire: GenerateBody) -> Prompt:
    text = wire.prompt or ""
    if wire.raw or wire.suffix:
        whole = "raw" if wire.raw else "suffix"
        for name in ("system", "images"):
            if getattr(wire, name):
                raise field_error(name, f"it clashes with {whole}: the prompt is everything then")
        return TextPrompt(text, wire.suffix or "")
    system = (Message(Author.SYSTEM, (TextPart(wire.system),)),) if wire.system else ()
    parts = (*((TextPart(text),) if text else ()), *images_of(wire.images, "images"))
    return ChatPrompt(
        messages=(*system, Message(Author.USER, parts)),
        reasoning=wire.reasoning(),
    )


def _call(wire: GenerationFields, prompt: Prompt, shape: Shape) -> Call:
    options = wire.all_options
    OPTION_FIELDS.check(options, path="options.")
    request = GenerateRequest(
        model=wire.model,
        prompt=prompt,
        sampling=options.sampling(logprobs=wire.logprob_count()),
        max_tokens=options.max_tokens(),
        stop=options.stop_strings(),
        constraint=wire.constraint(),
        keep_alive_s=keep_alive_s(wire.keep_alive),
    )
    encoder = functools.partial(AnswerEncoder, model=wire.model, shape=shape, stream=wire.streams)
    return Call(request, stream=wire.streams, encoder=encoder)


def _loading(wire: GenerationFields, shape: Shape) -> CommandCall:
    """A request that asks nothing loads the model; one that keeps it for no time unloads it."""
    OPTION_FIELDS.check(wire.all_options, path="options.")
    kept_s = keep_alive_s(wire.keep_alive)
    command = (
        UnloadModels((wire.model,)) if kept_s == 0 else LoadModel(wire.model, keep_alive_s=kept_s)
    )
    encoder = functools.partial(LoadEncoder, model=wire.model, shape=shape, stream=wire.streams)
    return CommandCall(command, stream=wire.streams, encoder=encoder)
