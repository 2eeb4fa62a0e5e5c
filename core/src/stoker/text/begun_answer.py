"""Conversations that end with an answer that is begun: the model goes on with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from stoker.errors import InvalidRequestError
from stoker.messages import Author, Message, TextPart, Tool
from stoker.text.chat_template import ChatTemplate
from stoker.text.marks import Marks


def begun_answer(
    template: ChatTemplate,
    messages: Sequence[Message],
    *,
    tools: Sequence[Tool] = (),
    arguments: Mapping[str, Any] | None = None,
) -> str:
    """Write a conversation out up to the last character of its last message.

    No template says where a message ends. So the message gets a mark behind it that nobody could
    have foreseen, and what the template writes from there on is left out.

    Raises:
        InvalidRequestError: The last message is no text of the assistant's, the template refuses
            the conversation, or it rewrites the message.
        UnsupportedFeatureError: The conversation has parts that are not text.
    """
    last = messages[-1] if messages else None
    if last is None or last.author is not Author.ASSISTANT or last.tool_calls or not last.text:
        raise InvalidRequestError(
            "An answer can only be continued that is the last message, and the assistant's, with"
            " a text and no tool calls.",
            param="messages",
        )
    mark = Marks.fresh().end
    marked = attrs.evolve(last, parts=(TextPart(last.text + mark),))
    text = template.render(
        [*messages[:-1], marked], tools=tools, add_generation_prompt=False, arguments=arguments
    )
    before, found, _ = text.rpartition(mark)
    if not found:
        raise InvalidRequestError(
            "The model's chat template rewrites the last message, so it cannot be continued: end"
            " with a message of the user.",
            param="messages",
        )
    return before
