"""The prompt: what a response and a count of its tokens have in common."""

from __future__ import annotations

from stoker.errors import UnsupportedFeatureError
from stoker.request import ChatPrompt, Effort, Reasoning
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
        reasoning=_reasoning(wire),
    )


def _reasoning(wire: PromptFields) -> Reasoning:
    config = wire.reasoning
    if config is None:
        return Reasoning()
    if config.mode not in _HARMLESS_MODES:
        raise _refused("reasoning.mode", "there is one mode only: leave it out")
    return Reasoning(None if config.effort is None else Effort(config.effort))


def _refused(param: str, problem: str) -> UnsupportedFeatureError:
    return UnsupportedFeatureError(f"{param}: {problem}.", param=param)
