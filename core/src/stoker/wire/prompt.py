"""Prompts on the wire."""

from __future__ import annotations

from typing import Any

import msgspec

from stoker import request
from stoker.messages import ToolChoice, ToolChoiceMode
from stoker.wire.message import MessageWire, ToolWire


class ChatPromptWire(msgspec.Struct, frozen=True, omit_defaults=True, tag="chat"):
    """See `stoker.request.ChatPrompt`."""

    messages: tuple[MessageWire, ...]
    tools: tuple[ToolWire, ...] = ()
    tool_choice_mode: ToolChoiceMode = ToolChoiceMode.AUTO
    tool_choice_name: str | None = None
    parallel_tool_calls: bool = True
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    template_arguments: dict[str, Any] = {}
    effort: request.Effort | None = None
    budget_tokens: int | None = None

    @classmethod
    def from_domain(cls, prompt: request.ChatPrompt) -> ChatPromptWire:
        """Convert for sending."""
        return cls(
            messages=tuple(map(MessageWire.from_domain, prompt.messages)),
            tools=tuple(map(ToolWire.from_domain, prompt.tools)),
            tool_choice_mode=prompt.tool_choice.mode,
            tool_choice_name=prompt.tool_choice.name,
            parallel_tool_calls=prompt.parallel_tool_calls,
            add_generation_prompt=prompt.add_generation_prompt,
            continue_final_message=prompt.continue_final_message,
            template_arguments=dict(prompt.template_arguments),
            effort=prompt.reasoning.effort,
            budget_tokens=prompt.reasoning.budget_tokens,
        )

    def to_domain(self) -> request.ChatPrompt:
        """Convert what came."""
        return request.ChatPrompt(
            messages=tuple(message.to_domain() for message in self.messages),
            tools=tuple(tool.to_domain() for tool in self.tools),
            tool_choice=ToolChoice(self.tool_choice_mode, self.tool_choice_name),
            parallel_tool_calls=self.parallel_tool_calls,
            add_generation_prompt=self.add_generation_prompt,
            continue_final_message=self.continue_final_message,
            template_arguments=self.template_arguments,
            reasoning=request.Reasoning(self.effort, self.budget_tokens),
        )


class TextPromptWire(msgspec.Struct, frozen=True, omit_defaults=True, tag="text"):
    """See `stoker.request.TextPrompt`."""

    text: str
    suffix: str = ""


class TokenPromptWire(msgspec.Struct, frozen=True, omit_defaults=True, tag="tokens"):
    """See `stoker.request.TokenPrompt`."""

    tokens: tuple[int, ...]


InputWire = TextPromptWire | TokenPromptWire
PromptWire = ChatPromptWire | InputWire


def input_to_wire(item: request.TextPrompt | request.TokenPrompt) -> InputWire:
    """Convert a prompt that is no conversation for sending."""
    match item:
        case request.TextPrompt(text, suffix):
            return TextPromptWire(text, suffix)
        case request.TokenPrompt(tokens):
            return TokenPromptWire(tokens)


def input_to_domain(wire: InputWire) -> request.TextPrompt | request.TokenPrompt:
    """Convert a prompt that is no conversation."""
    match wire:
        case TextPromptWire():
            return request.TextPrompt(wire.text, wire.suffix)
        case TokenPromptWire():
            return request.TokenPrompt(wire.tokens)


def prompt_to_wire(prompt: request.Prompt) -> PromptWire:
    """Convert a prompt for sending."""
    match prompt:
        case request.ChatPrompt():
            return ChatPromptWire.from_domain(prompt)
        case request.TextPrompt() | request.TokenPrompt():
            return input_to_wire(prompt)


def prompt_to_domain(wire: PromptWire) -> request.Prompt:
    """Convert a prompt that came."""
    match wire:
        case ChatPromptWire():
            return wire.to_domain()
        case TextPromptWire() | TokenPromptWire():
            return input_to_domain(wire)
