"""The prompt: what answering a conversation and counting its tokens have in common."""

from __future__ import annotations

from stoker.messages import Author, Message
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
from stoker_litestar.dialects.json_body import field_error
from stoker_litestar.dialects.media import refused_part


def prompt_of(wire: PromptFields) -> ChatPrompt:
    """Convert the prompt.

    Raises:
        InvalidRequestError: A field is malformed or refused; names it.
    """
    check_context_management(wire.context_management)
    tools = tools_of(wire.tools)
    messages = messages_of(wire.system, wire.messages)
    return ChatPrompt(
        messages=messages,
        tools=tools,
        tool_choice=tool_choice_of(wire.tool_choice, tools),
        parallel_tool_calls=is_parallel(wire.tool_choice),
        continue_final_message=_continues(wire, messages[-1]),
        reasoning=_reasoning(wire),
    )


def _continues(wire: PromptFields, last: Message) -> bool:
    """Whether the last message is an answer that is begun."""
    if last.author is not Author.ASSISTANT:
        return False
    path = f"messages[{len(wire.messages) - 1}]"
    if last.tool_calls or not last.text:
        raise field_error(
            path, "only a text can be continued: end with a text, or with a message of the user"
        )
    if last.text[-1:].isspace():
        raise field_error(path, "an answer that is begun must not end with white space")
    if isinstance(wire.thinking, ThinkingEnabled | ThinkingAdaptive):
        raise field_error(path, "an answer that is begun cannot be thought about: disable thinking")
    return True


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
