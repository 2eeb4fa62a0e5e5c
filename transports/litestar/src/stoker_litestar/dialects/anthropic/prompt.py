"""The prompt: what answering a conversation and counting its tokens have in common."""

from __future__ import annotations

from stoker.messages import Author
from stoker.request import ChatPrompt, Effort, Reasoning
from stoker_litestar.dialects.anthropic.conversation import messages_of
from stoker_litestar.dialects.anthropic.tools import (
    check_context_management,
    is_parallel,
    tool_choice_of,
    tools_of,
)
from stoker_litestar.dialects.anthropic.wire.request import (
    PromptFields,
    ThinkingAdaptive,
    ThinkingBetweenTools,
    ThinkingEnabled,
)
from stoker_litestar.dialects.media import refused_part


def prompt_of(wire: PromptFields) -> ChatPrompt:
    """Convert the prompt.

    Raises:
        InvalidRequestError: A field is malformed or refused; names it.
    """
    check_context_management(wire.context_management)
    tools = tools_of(wire.tools)
    messages = messages_of(wire.system, wire.messages)
    if messages[-1].author is Author.ASSISTANT:
        raise refused_part(
            f"messages[{len(wire.messages) - 1}]",
            "an answer that is begun cannot be continued: end with a message of the user",
        )
    return ChatPrompt(
        messages=messages,
        tools=tools,
        tool_choice=tool_choice_of(wire.tool_choice, tools),
        parallel_tool_calls=is_parallel(wire.tool_choice),
        reasoning=_reasoning(wire),
    )


def _reasoning(wire: PromptFields) -> Reasoning:
    """How the model should think; not at all unless the request says so, as with Anthropic."""
    config = wire.output_config
    if config is not None and config.task_budget is not None:
        raise refused_part("output_config.task_budget", "nobody counts the tokens of a task")
    effort = Effort(config.effort) if config is not None and config.effort is not None else None
    match wire.thinking:
        case ThinkingEnabled(budget_tokens=budget):
            return Reasoning(effort, budget)
        case ThinkingAdaptive():
            return Reasoning(effort or Effort.HIGH)
        case ThinkingBetweenTools():
            raise refused_part("thinking", "models think before every answer, or before none")
        case _:
            return Reasoning(budget_tokens=0)
