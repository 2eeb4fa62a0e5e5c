"""Limits: what is refused because it is too much, before it costs anything.

The numbers stand in one table, `stoker.config.limits`. What only a transport can know (the size of
a body) and only a runner (a template's time and output, a prompt's tokens) is checked there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from stoker.caller import LOCAL, Caller
from stoker.config.limits import LimitsConfig
from stoker.errors import InvalidRequestError, TooManyRequestsError
from stoker.messages import TextPart
from stoker.request import (
    ChatPrompt,
    DetokenizeRequest,
    EmbedRequest,
    GenerateRequest,
    Prompt,
    RenderRequest,
    Request,
    RerankRequest,
    TextPrompt,
    TokenizeRequest,
)

RETRY_AFTER_S = 1.0


def check_limits(request: Request, limits: LimitsConfig) -> None:
    """Let a request through that asks for no more than one may.

    Raises:
        InvalidRequestError: It asks for more; says for how much, and what is allowed.
    """
    match request:
        case GenerateRequest():
            _at_most("n", request.choices, limits.max_choices, "max_choices", "choices")
            _at_most(
                "stop", len(request.stop), limits.max_stop_strings, "max_stop_strings", "strings"
            )
            longest = max(map(len, request.stop), default=0)
            key = "max_stop_string_chars"
            _at_most("stop", longest, limits.max_stop_string_chars, key, "characters in a string")
            _check_prompt(request.prompt, limits)
            _check_size("prompt", sum(map(_chars, request.more_prompts)), limits)
        case TokenizeRequest() | RenderRequest():
            _check_prompt(request.prompt, limits)
        case DetokenizeRequest():
            _check_size("tokens", len(request.tokens), limits)
        case EmbedRequest():
            _at_most("input", len(request.input), limits.max_inputs, "max_inputs", "texts")
            _check_size("input", sum(map(_chars, request.input)), limits)
        case RerankRequest(query=query, documents=documents):
            param = request.params[1]
            _at_most(param, len(documents), limits.max_inputs, "max_inputs", "texts")
            queries = (query,) if isinstance(query, str) else query
            _check_size(param, sum(map(len, (*queries, *documents))), limits)


def _check_prompt(prompt: Prompt, limits: LimitsConfig) -> None:
    param = "prompt"
    if isinstance(prompt, ChatPrompt):
        param, messages = "messages", len(prompt.messages)
        _at_most(param, messages, limits.max_messages, "max_messages", "messages")
    _check_size(param, _chars(prompt), limits)


def _check_size(param: str, chars: int, limits: LimitsConfig) -> None:
    _at_most(param, chars, limits.max_prompt_chars, "max_prompt_chars", "characters")


def _at_most(param: str, count: int, limit: int, key: str, what: str) -> None:
    if count > limit:
        raise InvalidRequestError(
            f"{param} has {count} {what}; this server takes at most {limit} (limits.{key}).",
            param=param,
        )


def _chars(prompt: Prompt) -> int:
    """How long a prompt is; a token counts as a character."""
    match prompt:
        case TextPrompt(text, suffix):
            return len(text) + len(suffix)
        case ChatPrompt(messages=messages):
            return sum(
                len(part.text)
                for message in messages
                for part in message.parts
                if isinstance(part, TextPart)
            ) + sum(len(call.arguments) for message in messages for call in message.tool_calls)
        case _:
            return len(prompt.tokens)


class ConcurrentRequests:
    """How many requests each caller has going, waiting ones included.

    Attributes:
        limits: How many a caller may have; may be replaced.
    """

    def __init__(self, limits: LimitsConfig) -> None:
        self.limits = limits
        self._counts: dict[str, int] = {}

    @contextlib.contextmanager
    def counted(self, caller: Caller) -> Iterator[None]:
        """Count a request while the block runs. This user's own socket has no limit.

        Raises:
            TooManyRequestsError: The caller has too many already.
        """
        count = self._counts.get(caller.name, 0)
        if caller is not LOCAL and count >= self.limits.max_concurrent_requests:
            raise TooManyRequestsError(
                f"{caller.name} has {count} requests going, which is as many as one may"
                " (limits.max_concurrent_requests): wait for an answer.",
                retry_after_s=RETRY_AFTER_S,
            )
        self._counts[caller.name] = count + 1
        try:
            yield
        finally:
            self._counts[caller.name] -= 1
            if not self._counts[caller.name]:
                del self._counts[caller.name]
