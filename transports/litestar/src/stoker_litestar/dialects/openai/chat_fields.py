"""What becomes of every field of a chat completions request."""

from __future__ import annotations

from stoker_litestar.dialects.fields import FieldTable, honoured, no_op, refused
from stoker_litestar.dialects.openai.generation_fields import SHARED_RULES

CHAT_FIELDS = FieldTable(
    {
        **SHARED_RULES,
        "messages": honoured("image addresses and file parts are refused"),
        "audio": refused("answers are text only"),
        "function_call": refused("it was replaced by tool_choice: use that"),
        "functions": refused("it was replaced by tools: use that"),
        "logprobs": honoured(),
        "max_completion_tokens": honoured(),
        "max_tokens": honoured("the older name of max_completion_tokens"),
        "metadata": no_op("labels for the provider's store of answers, and none is stored here"),
        "modalities": refused("answers are text only", harmless=(["text"],)),
        "moderation": refused("there is no moderation model"),
        "parallel_tool_calls": honoured(),
        "prediction": no_op("a hint that makes answers faster and never changes them"),
        "prompt_cache_key": no_op("a hint for a remote cache; prefixes are found without it"),
        "prompt_cache_options": no_op("a hint for a remote cache; prefixes are found without it"),
        "prompt_cache_retention": no_op("a hint for a remote cache"),
        "reasoning_effort": honoured(
            "the chat template gets it; where it knows no efforts, the lower ones set a budget of"
            " tokens; none turns thinking off"
        ),
        "response_format": honoured("a schema is always followed, strict or not"),
        "safety_identifier": no_op("a label for the provider's abuse reports"),
        "service_tier": refused(
            "there is one tier only: leave it out", harmless=("auto", "default")
        ),
        "store": refused("answers are not stored", harmless=(False,)),
        "tool_choice": honoured("custom tools are refused"),
        "tools": honoured(
            "functions are; custom tools are refused; calls that must be made follow the schemas,"
            " strict or not, and those that are the model's own idea are what it writes"
        ),
        "top_logprobs": honoured(),
        "verbosity": refused(
            "local models have no such control: say it in a message", harmless=("medium",)
        ),
        "web_search_options": refused("there is no web search"),
        "add_generation_prompt": honoured("an extension"),
        "continue_final_message": honoured(
            "an extension: the answer goes on with the last message, which is the assistant's; only"
            " what follows it is told"
        ),
        "reasoning": honoured(
            "an extension: an object with effort and max_tokens, which are reasoning_effort and"
            " reasoning_budget_tokens; its summary is a no-op, as reasoning is told whole"
        ),
        "reasoning_budget_tokens": honoured(
            "an extension: most tokens to think, after which the thinking is ended"
        ),
        "chat_template_kwargs": honoured("an extension: more variables for the chat template"),
    }
)
