"""What is asked of the server: the body of a request of the OpenAI API.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from typing import Any

from stoker.errors import UnsupportedFeatureError
from stoker.messages import Author, Message, TextPart, ToolChoice, ToolChoiceMode
from stoker.request import ChatPrompt, GenerateRequest, TextPrompt
from stoker.sampling import SamplingParams


def body_of(request: GenerateRequest, model: str, index: int) -> tuple[str, dict[str, Any]]:
    """The path and the body that ask for one choice; what is unset is left out.

    Args:
        request: The request.
        model: The model, as the server calls it.
        index: Which of the request's choices.

    Raises:
        UnsupportedFeatureError: The request wants something that is not passed on.
    """
    _refuse(request)
    path, prompt = _prompt(request)
    body = {
        "model": model,
        "stream": True,
        "stream_options": {"include_usage": True},
        **prompt,
        "max_tokens": request.max_tokens,
        "ignore_eos": request.ignore_end or None,
        **_sampling(request.sampling, index),
    }
    return path, {key: value for key, value in body.items() if value is not None}


def _prompt(request: GenerateRequest) -> tuple[str, dict[str, Any]]:
    match request.prompt:
        case ChatPrompt() as chat:
            return "chat/completions", {
                "messages": [_message(message) for message in chat.messages],
                "chat_template_kwargs": dict(chat.template_arguments) or None,
                "reasoning_effort": chat.reasoning.effort and chat.reasoning.effort.value,
                **_tools(chat),
            }
        case TextPrompt(text):
            return "completions", {"prompt": text}
    raise UnsupportedFeatureError(
        "A remote model has its own tokens: send text or messages.", param="prompt"
    )


def _sampling(sampling: SamplingParams, index: int) -> dict[str, Any]:
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        # Each choice is asked for by itself, and another one is wanted for each.
        "seed": None if sampling.seed is None else sampling.seed + index,
    }


def _refuse(request: GenerateRequest) -> None:
    """Refuse by name what would otherwise be dropped in silence."""
    chat = request.prompt if isinstance(request.prompt, ChatPrompt) else None
    unsupported = {
        "constraint": request.constraint is not None,
        "adapters": bool(request.adapters),
        "logprobs": request.sampling.logprobs is not None,
        "logit_bias": bool(request.sampling.logit_bias),
        "penalty_window": request.sampling.penalty_window is not None,
        "reasoning": chat is not None and chat.reasoning.budget_tokens is not None,
        "add_generation_prompt": chat is not None and not chat.add_generation_prompt,
    }
    for param, wanted in unsupported.items():
        if wanted:
            raise UnsupportedFeatureError(
                f"{param} is not passed on to remote models: leave it out.", param=param
            )


def _message(message: Message) -> dict[str, Any]:
    if not all(isinstance(part, TextPart) for part in message.parts):
        raise UnsupportedFeatureError(
            "Remote models get text only: leave images and audio out.", param="messages"
        )
    fields: dict[str, Any] = {"role": message.author.value, "content": message.text}
    if message.author is Author.TOOL:
        fields["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        fields["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    fields["name"] = message.name
    fields["reasoning_content"] = message.reasoning
    return {key: value for key, value in fields.items() if value is not None}


def _tools(chat: ChatPrompt) -> dict[str, Any]:
    if not chat.tools:
        return {}
    tools = []
    for tool in chat.tools:
        function: dict[str, Any] = {"name": tool.name, "parameters": dict(tool.parameters)}
        if tool.description:
            function["description"] = tool.description
        if tool.strict:
            function["strict"] = True
        tools.append({"type": "function", "function": function})
    return {
        "tools": tools,
        "tool_choice": _tool_choice(chat.tool_choice),
        "parallel_tool_calls": None if chat.parallel_tool_calls else False,
    }


def _tool_choice(choice: ToolChoice) -> Any:
    if choice.name is not None:
        return {"type": "function", "function": {"name": choice.name}}
    return None if choice.mode is ToolChoiceMode.AUTO else choice.mode.value
