"""What becomes of every field of a request for a response, and of one that counts its tokens."""

from __future__ import annotations

from stoker_litestar.dialects.fields import FieldRule, FieldTable, honoured, no_op, refused

_CACHE = "a hint for a remote cache; prefixes are found without it"

_PROMPT_RULES: dict[str, FieldRule] = {
    "model": honoured("required"),
    "input": honoured("messages, function calls, their outputs and reasoning; others are refused"),
    "instructions": honoured(),
    "previous_response_id": honoured("instructions of the past do not come with it"),
    "conversation": refused("use previous_response_id"),
    "parallel_tool_calls": honoured(),
    "reasoning": honoured(
        "none turns thinking off; with a summary the whole reasoning stands as one"
    ),
    "text": honoured("a schema is always followed, strict or not; verbosity must be medium"),
    "tool_choice": honoured("hosted tools are refused"),
    "tools": honoured("functions are; hosted tools are refused"),
    "truncation": refused(
        "nothing is cut off: what is too long is an error", harmless=("disabled",)
    ),
}

RESPONSE_FIELDS = FieldTable(
    {
        **_PROMPT_RULES,
        "access_programs": refused("there are none"),
        "background": refused("ask again with a stream, and keep it open", harmless=(False,)),
        "background_options": refused("responses are not made in the background"),
        "context_management": refused("conversations are never rewritten", harmless=([],)),
        "image": refused("images are read as they are"),
        "include": honoured(
            "message.output_text.logprobs is; reasoning always comes with its text, so"
            " reasoning.encrypted_content adds nothing; what belongs to hosted tools never occurs"
        ),
        "max_output_tokens": honoured(),
        "max_tool_calls": honoured("told with the response; it counts hosted tools' calls only"),
        "metadata": honoured("kept and told with the response"),
        "moderation": refused("there is no moderation model"),
        "prompt": refused("there are no stored prompts: send the input"),
        "prompt_cache_key": honoured(f"told with the response; {_CACHE}"),
        "prompt_cache_options": no_op(_CACHE),
        "prompt_cache_retention": no_op(_CACHE),
        "safety_identifier": honoured("told with the response; nobody looks at it"),
        "service_tier": refused(
            "there is one tier only: leave it out", harmless=("auto", "default")
        ),
        "store": honoured("unset keeps the response, as OpenAI does; see archive in the settings"),
        "stream": honoured(),
        "stream_options": no_op(
            "include_obfuscation is refused when true: answers are not padded against traffic"
            " analysis"
        ),
        "temperature": honoured("unset takes the model's own default"),
        "top_logprobs": honoured("needs message.output_text.logprobs in include"),
        "top_p": honoured("unset takes the model's own default"),
        "user": honoured("told with the response; nobody looks at it"),
        "frequency_penalty": honoured("an extension"),
        "presence_penalty": honoured("an extension"),
        "min_p": honoured("an extension"),
        "seed": honoured("an extension"),
        "stop": honoured("an extension: up to 64 texts"),
        "top_k": honoured("an extension: 0 keeps all"),
    }
)

COUNT_FIELDS = FieldTable(
    {
        **_PROMPT_RULES,
        "personality": refused("models here have the one that their instructions give them"),
    }
)
