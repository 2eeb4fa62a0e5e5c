"""What becomes of every field of a request for a message, and of one that counts tokens."""

from __future__ import annotations

from stoker_litestar.dialects.fields import FieldRule, FieldTable, honoured, no_op, refused

_THINKING = "edits of thinking are a no-op, as the chat template keeps what the model knows of it"

_PROMPT_RULES: dict[str, FieldRule] = {
    "model": honoured(),
    "messages": honoured(
        "documents, files and what servers' tools wrote are refused; an answer that is begun in"
        " the last message is continued, unless it is to be thought about or has a form"
    ),
    "system": honoured(),
    "tools": honoured("tools with an input_schema are; Anthropic's own are refused"),
    "tool_choice": honoured(),
    "thinking": honoured("unset is disabled; budgets of any size; between_tools is refused"),
    "output_config": honoured("the effort is that of thinking; task_budget is refused"),
    "cache_control": no_op("a hint for a remote cache; prefixes are found without it"),
    "speed": refused("there is one speed only: leave it out", harmless=("standard",)),
    "billing_policy": refused("nothing is billed"),
    "compaction": refused("conversations are never rewritten"),
    "context_management": honoured(f"{_THINKING}; others are refused"),
    "mcp_servers": refused("tools are the client's to run", harmless=([],)),
    "output_format": honoured("the older name of output_config.format"),
}

MESSAGE_FIELDS = FieldTable(
    {
        **_PROMPT_RULES,
        "max_tokens": honoured("required; from 1 on"),
        "stop_sequences": honoured("up to 64"),
        "stream": honoured(),
        "temperature": honoured("unset takes the model's own default, not 1"),
        "top_k": honoured("0 keeps all"),
        "top_p": honoured("unset takes the model's own default"),
        "container": refused("nothing runs code here"),
        "diagnostics": refused("there are none of the cache; usage tells what was reused"),
        "fallback_credit_token": refused("nothing is billed"),
        "fallbacks": refused("no other model answers in the place of the one that was asked for"),
        "inference_geo": refused("answers are made where this server is: leave it out"),
        "metadata": no_op("labels for the provider's abuse reports"),
        "service_tier": no_op("there is one tier only"),
        "thread": refused("messages are not stored; the official client goes on without"),
    }
)

COUNT_FIELDS = FieldTable(_PROMPT_RULES)
