"""Prompts: from what a request says to the tokens that an engine reads."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from stoker.artifact import ModelBundle
from stoker.engine import Engine, EngineInfo
from stoker.errors import InvalidArtifactError, InvalidRequestError, UnsupportedFeatureError
from stoker.messages import Author, Message, ToolChoiceMode
from stoker.request import ChatPrompt, Prompt, Reasoning, TextPrompt
from stoker.text.begun_answer import begun_answer
from stoker.text.chat_template import MAX_SOURCE_CHARS, ChatTemplate
from stoker.text.marks import UNTRUSTED, Marks
from stoker.text.tool_words import with_calls, with_results, with_tools


def template_source(info: EngineInfo, bundle: ModelBundle) -> str | None:
    """Find the chat template: the bundle's own file, else the one inside the weights.

    Raises:
        InvalidArtifactError: The bundle's file cannot be read.
    """
    if bundle.chat_template is None:
        return info.chat_template
    return _read(bundle.chat_template)


def _read(path: Path) -> str:
    try:
        # A character has four bytes at most; more than the limit is refused by the template.
        with path.open("rb") as file:
            return file.read(4 * MAX_SOURCE_CHARS + 1).decode()
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidArtifactError(
            f"The model's chat template {path.name} cannot be read: {exc}."
        ) from exc


@attrs.frozen
class EncodedChat:
    """A conversation, ready to be read."""

    tokens: tuple[int, ...]
    text: str
    """As the template wrote it."""


class PromptEncoder:
    """Encodes the prompts of one model.

    The model's begin tokens stand before every text, and no end tokens after it, whatever the
    model's files say of those: a prompt is there to be continued. A chat template may write the
    begin token itself, or not; it is added unless it is there already. Engines' own servers, which
    strip it from the rendered text and let the tokenizer add it again, get the same tokens.

    A rendered chat is one string in which control tokens are spelled out, so a user could spell
    them too and forge, say, the system's turn. Where a message of a user or a tool does that, its
    words are encoded apart from the template's, as plain text. Other messages are encoded in one
    go with the template, because the model was trained on the tokens that this gives. Only the
    text of messages is looked at: their names and tool calls are the application's own.
    """

    def __init__(self, engine: Engine, *, template_source: str | None) -> None:
        self._engine = engine
        self._template_source = template_source

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        """Turn a prompt into tokens.

        Raises:
            InvalidRequestError: The prompt is empty, has tokens that do not exist, or the chat
                template refuses it.
            UnsupportedFeatureError: The model has no chat template, or the conversation has
                parts that are not text.
            InvalidArtifactError: The model's chat template does not compile.
        """
        if isinstance(prompt, ChatPrompt):
            return self.encode_chat(prompt).tokens
        if isinstance(prompt, TextPrompt):
            tokens = self._begun(self._filling(prompt) if prompt.suffix else self._whole(prompt))
            param = "prompt"
        else:
            tokens = prompt.tokens
            param = "prompt"
            self.check_tokens(tokens, param)
        if not tokens:
            raise InvalidRequestError("The prompt is empty.", param=param)
        return tokens

    def _whole(self, prompt: TextPrompt) -> list[int]:
        # Whoever writes a whole prompt may write control tokens: that is what it is for.
        return self._engine.encode(prompt.text, add_special=False, parse_special=True)

    def _filling(self, prompt: TextPrompt) -> list[int]:
        """The text before a gap and the text behind it, in the order that models were trained on.

        Both are somebody's document, which may well spell control tokens.
        """
        marks = self._engine.info.infill
        if marks is None:
            raise UnsupportedFeatureError(
                "suffix: this model was not trained to fill a text in: leave it out, or choose"
                " another model.",
                param="suffix",
            )
        before, behind = (
            self._engine.encode(text, add_special=False, parse_special=False)
            for text in (prompt.text, prompt.suffix)
        )
        return [marks.prefix, *before, marks.suffix, *behind, marks.middle]

    def encode_chat(self, prompt: ChatPrompt) -> EncodedChat:
        """Turn a conversation into tokens, and tell its text as well.

        Raises:
            StokerError: As for `encode`.
        """
        text = self.rendered(prompt)
        tokens = self._begun(self._encode_chat(prompt, text))
        if not tokens:
            raise InvalidRequestError("The prompt is empty.", param="messages")
        return EncodedChat(tokens, text)

    def check_tokens(self, tokens: tuple[int, ...], param: str) -> None:
        """Let tokens through that the model has.

        Raises:
            InvalidRequestError: There is one that does not exist.
        """
        vocabulary_size = self._engine.info.vocabulary_size
        if tokens and not (min(tokens) >= 0 and max(tokens) < vocabulary_size):
            raise InvalidRequestError(
                f"Token ids are between 0 and {vocabulary_size - 1}.", param=param
            )

    def rendered(self, prompt: ChatPrompt) -> str:
        """Write a conversation out as the chat template has it.

        Raises:
            InvalidRequestError: The chat template refuses it.
            UnsupportedFeatureError: The model has no chat template, or the conversation has parts
                that are not text.
            InvalidArtifactError: The model's chat template does not compile.
        """
        template = self.template
        # Tools that must not be called are not shown to the model, lest it calls them.
        shown = () if prompt.tool_choice.mode is ToolChoiceMode.NONE else prompt.tools
        messages: Sequence[Message] = prompt.messages
        if any(message.tool_calls for message in messages) and not template.writes_calls:
            messages = with_calls(messages)
        has_results = any(message.author is Author.TOOL for message in messages)
        if has_results and not template.writes_results:
            messages = with_results(messages)
        if shown and not template.writes_tools:
            messages, shown = with_tools(messages, shown), ()
        arguments = {**_reasoning_arguments(prompt.reasoning), **prompt.template_arguments}
        if prompt.continue_final_message:
            return begun_answer(template, messages, tools=shown, arguments=arguments)
        return template.render(
            messages,
            tools=shown,
            add_generation_prompt=prompt.add_generation_prompt,
            arguments=arguments,
        )

    def _encode_chat(self, prompt: ChatPrompt, text: str) -> list[int]:
        if not any(map(self._spells_control, prompt.messages)):
            return self._engine.encode(text, add_special=False, parse_special=True)
        marks = Marks.fresh()
        messages = [marks.around(message) for message in prompt.messages]
        marked = self.rendered(attrs.evolve(prompt, messages=tuple(messages)))
        pieces = list(marks.split(marked))
        expected = sum(map(operator.is_not, messages, prompt.messages))
        found = sum(not trusted for _, trusted in pieces)
        # Fewer marks than messages: the template cut words out of a message, or left it out.
        if found < expected or "".join(piece for piece, _ in pieces) != text:
            raise InvalidRequestError(
                "A message spells one of the model's control tokens, and the model's chat"
                " template rewrites it so that it cannot be told from the template's own:"
                " take the control token out of the message.",
                param="messages",
            )
        return [
            token
            for piece, trusted in pieces
            for token in self._engine.encode(piece, add_special=False, parse_special=trusted)
        ]

    def _spells_control(self, message: Message) -> bool:
        if message.author not in UNTRUSTED:
            return False
        encode = self._engine.encode
        text = message.text
        return encode(text, add_special=False, parse_special=True) != encode(
            text, add_special=False, parse_special=False
        )

    @functools.cached_property
    def template(self) -> ChatTemplate:
        """The chat template, compiled for the first chat: a broken one leaves completions.

        Raises:
            UnsupportedFeatureError: The model has none.
            InvalidArtifactError: It does not compile.
        """
        if self._template_source is None:
            raise UnsupportedFeatureError(
                "This model has no chat template: use completions instead.", param="messages"
            )
        return ChatTemplate(self._template_source, self._engine.info.special_tokens)

    def _begun(self, tokens: list[int]) -> tuple[int, ...]:
        begin = self._begin
        if begin and tuple(tokens[: len(begin)]) != begin:
            return (*begin, *tokens)
        return tuple(tokens)

    @functools.cached_property
    def _begin(self) -> tuple[int, ...]:
        """What the tokenizer puts before a text by itself."""
        plain = self._engine.encode("a", add_special=False, parse_special=False)
        special = self._engine.encode("a", add_special=True, parse_special=False)
        for count in range(len(special) - len(plain) + 1):
            if special[count : count + len(plain)] == plain:
                return tuple(special[:count])
        return ()


def _reasoning_arguments(reasoning: Reasoning) -> dict[str, Any]:
    """The variables by which templates are told how to think."""
    arguments: dict[str, Any] = {}
    if reasoning.effort is not None:
        arguments["reasoning_effort"] = reasoning.effort.value
    if reasoning.enabled is not None:
        # Qwen's name, which most have taken over, and DeepSeek's and Granite's.
        arguments["enable_thinking"] = arguments["thinking"] = reasoning.enabled
    return arguments
