"""The prompt: what a response and a count of its tokens have in common."""

from __future__ import annotations

from typing import Any

from stoker.errors import UnsupportedFeatureError
from stoker.request import ChatPrompt
from stoker_litestar.dialects.responses.conversation import Conversation
from stoker_litestar.dialects.responses.tools import Tools
from stoker_litestar.dialects.responses.wire.request import PromptFields

_HARMLESS_VERBOSITY = (None, "medium")
_HARMLESS_MODES = (None, "standard")


def prompt_of(wire: PromptFields, conversation: Conversation, tools: Tools) -> ChatPrompt:
    """Convert the prompt.

    Raises:
        InvalidRequestError: A field is malformed or refused; names it.
    """
    if wire.text is not None and wire.text.verbosity not in _HARMLESS_VERBOSITY:
        raise _refused("text.verbosity", "local models have no such control: say it in a message")
    return ChatPrompt(
        messages=conversation.messages(wire.instructions),
        tools=tools.shown,
        tool_choice=tools.choice,
        parallel_tool_calls=wire.parallel_tool_calls is not False,
        template_arguments=_template_arguments(wire),
    )


def _template_arguments(wire: PromptFields) -> dict[str, Any]:
    reasoning = wire.reasoning
    if reasoning is None:
        return {}
    if reasoning.mode not in _HARMLESS_MODES:
        raise _refused("reasoning.mode", "there is one mode only: leave it out")
    if reasoning.effort is None:
        return {}
    arguments: dict[str, Any] = {"reasoning_effort": reasoning.effort}
    if reasoning.effort == "none":
        # The switch that templates of hybrid models (Qwen3 and its kin) know.
        arguments["enable_thinking"] = False
    return arguments


def _refused(param: str, problem: str) -> UnsupportedFeatureError:
    return UnsupportedFeatureError(f"{param}: {problem}.", param=param)
