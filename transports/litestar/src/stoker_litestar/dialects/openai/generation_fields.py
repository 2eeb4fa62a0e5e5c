"""What becomes of the fields that both generating routes share."""

from __future__ import annotations

from stoker_litestar.dialects.fields import FieldRule, honoured, no_op

SHARED_RULES: dict[str, FieldRule] = {
    "model": honoured(),
    "frequency_penalty": honoured(),
    "logit_bias": honoured(),
    "n": honoured(),
    "presence_penalty": honoured(),
    "seed": honoured(),
    "stop": honoured("any number of strings up to 64, not only 4"),
    "stream": honoured(),
    "stream_options": honoured("include_usage is; include_obfuscation is refused when true"),
    "temperature": honoured("unset takes the model's own default"),
    "top_p": honoured("unset takes the model's own default"),
    "user": no_op("a label for the provider's abuse reports"),
    "grammar": honoured("an extension: a grammar in GBNF (`name ::= ...`) or Lark (`name: ...`)"),
    "ignore_eos": honoured(
        "an extension: go on when the model ends its answer; refused beside a constraint"
    ),
    "min_p": honoured("an extension"),
    "repeat_last_n": honoured("an extension: how many last tokens the penalties look at"),
    "repetition_penalty": honoured("an extension"),
    "structured_outputs": honoured("an extension: json, json_object, regex, choice or grammar"),
    "top_k": honoured("an extension: 0 keeps all"),
}
