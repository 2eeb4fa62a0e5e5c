"""The tokenizer's routes: tokens of texts and conversations, and back; templates; counting."""

from __future__ import annotations

import functools

import msgspec

from stoker.dialect import Call, ResponseContext
from stoker.events import Detokenized, Event, Rendered, Tokenized, Usage
from stoker.request import (
    ChatPrompt,
    DetokenizeRequest,
    RenderRequest,
    TextPrompt,
    TokenizeRequest,
)
from stoker_litestar.dialects.json_body import decode_body, field_error
from stoker_litestar.dialects.openai.chat import (
    chat_prompt,
    chat_request,
    continues_answer,
    tools_of,
)
from stoker_litestar.dialects.openai.chat_messages import messages_of
from stoker_litestar.dialects.openai.whole import WholeEncoder
from stoker_litestar.dialects.openai.wire.tokenizing import (
    DetokenizeAnswer,
    DetokenizeBody,
    InputTokens,
    Piece,
    TemplateAnswer,
    TemplateBody,
    TokenizeAnswer,
    TokenizeBody,
)

_TOKENIZE = msgspec.json.Decoder(TokenizeBody)
_DETOKENIZE = msgspec.json.Decoder(DetokenizeBody)
_TEMPLATE = msgspec.json.Decoder(TemplateBody)


def decode_tokenize(body: bytes) -> Call:
    """Decode the body of `POST /tokenize`.

    Raises:
        InvalidRequestError: A field is unknown or malformed, or there is not exactly one thing to
            tokenize.
    """
    wire = decode_body(_TOKENIZE, body)
    given = [each for each in (wire.prompt, wire.content, wire.messages) if each is not None]
    if len(given) != 1:
        raise field_error("prompt", "give exactly one of prompt, content and messages")
    prompt = TextPrompt(str(given[0])) if wire.messages is None else _chat(wire)
    special = wire.add_special if wire.add_special_tokens is None else wire.add_special_tokens
    # Each API has its own default, and its own name for the text.
    special = wire.content is None if special is None else special
    pieces = bool(wire.with_pieces or wire.return_token_strs)
    request = TokenizeRequest(
        wire.model,
        prompt,
        add_special=special,
        parse_special=wire.parse_special is not False,
        with_pieces=pieces,
    )
    encoder = functools.partial(
        TokenizeEncoder, objects=bool(wire.with_pieces), texts=bool(wire.return_token_strs)
    )
    return Call(request, stream=False, encoder=encoder)


def decode_detokenize(body: bytes) -> Call:
    """Decode the body of `POST /detokenize`.

    Raises:
        InvalidRequestError: A field is unknown or malformed.
    """
    wire = decode_body(_DETOKENIZE, body)
    request = DetokenizeRequest(wire.model, tuple(wire.tokens))
    return Call(request, stream=False, encoder=DetokenizeEncoder)


def decode_template(body: bytes) -> Call:
    """Decode the body of `POST /apply-template`.

    Raises:
        InvalidRequestError: A field is unknown or malformed.
    """
    wire = decode_body(_TEMPLATE, body)
    return Call(RenderRequest(wire.model, _chat(wire)), stream=False, encoder=TemplateEncoder)


def decode_input_tokens(body: bytes) -> Call:
    """Decode the body of `POST /v1/chat/completions/input_tokens`, which is that of a chat.

    Raises:
        InvalidRequestError: As for a chat.
    """
    wire = chat_request(body)
    request = TokenizeRequest(wire.model, chat_prompt(wire))
    return Call(request, stream=False, encoder=InputTokensEncoder)


def _chat(wire: TokenizeBody | TemplateBody) -> ChatPrompt:
    continues = continues_answer(wire)
    return ChatPrompt(
        messages=messages_of(wire.messages or ()),
        tools=tools_of(wire.tools),
        add_generation_prompt=wire.add_generation_prompt is not False and not continues,
        continue_final_message=continues,
        template_arguments=wire.chat_template_kwargs or {},
    )


class TokenizeEncoder(WholeEncoder):
    """Tokens."""

    def __init__(self, _context: ResponseContext, *, objects: bool, texts: bool) -> None:
        self._objects = objects
        self._texts = texts
        self._event = Tokenized(())

    def take(self, event: Event) -> None:
        """Keep the tokens."""
        if isinstance(event, Tokenized):
            self._event = event

    def whole(self, usage: Usage) -> TokenizeAnswer:
        """All of them."""
        del usage
        tokens, pieces = self._event.tokens, self._event.pieces
        return TokenizeAnswer(
            count=len(tokens),
            tokens=(
                [Piece(token, _text(data)) for token, data in zip(tokens, pieces, strict=True)]
                if self._objects
                else list(tokens)
            ),
            token_strs=(
                [data.decode("utf-8", "replace") for data in pieces] if self._texts else None
            ),
        )


def _text(data: bytes) -> str | list[int]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return list(data)


class DetokenizeEncoder(WholeEncoder):
    """A text."""

    def __init__(self, _context: ResponseContext) -> None:
        self._text = ""

    def take(self, event: Event) -> None:
        """Keep the text."""
        if isinstance(event, Detokenized):
            self._text = event.text

    def whole(self, usage: Usage) -> DetokenizeAnswer:
        """All of it."""
        del usage
        return DetokenizeAnswer(prompt=self._text, content=self._text)


class TemplateEncoder(WholeEncoder):
    """A prompt."""

    def __init__(self, _context: ResponseContext) -> None:
        self._text = ""

    def take(self, event: Event) -> None:
        """Keep the text."""
        if isinstance(event, Rendered):
            self._text = event.text

    def whole(self, usage: Usage) -> TemplateAnswer:
        """All of it."""
        del usage
        return TemplateAnswer(self._text)


class InputTokensEncoder(WholeEncoder):
    """A number."""

    def __init__(self, _context: ResponseContext) -> None:
        """Nothing is kept: the usage says it."""

    def take(self, event: Event) -> None:
        """The usage says it."""

    def whole(self, usage: Usage) -> InputTokens:
        """How many there are."""
        return InputTokens(usage.prompt_tokens)
