"""What becomes of every field of a chat or generate request."""

from __future__ import annotations

from stoker_litestar.dialects.fields import FieldRule, FieldTable, honoured, no_op, refused

_WHOLE = "nothing is cut off: a prompt that does not fit into the context is an error"
_NO_PICTURES = "no model here makes pictures"

_SHARED: dict[str, FieldRule] = {
    "model": honoured(),
    "stream": honoured("unset is true"),
    "options": honoured("see the table of options"),
    "format": honoured("json or a JSON schema"),
    "keep_alive": honoured(
        "seconds or a duration like 5m; 0 unloads the model after the answer, a negative one keeps"
        " it for ever"
    ),
    "think": honoured(
        "false turns thinking off, true is medium; a level is an effort, which the chat template"
        " gets, or a budget where it knows no efforts"
    ),
    "logprobs": honoured(),
    "top_logprobs": honoured(),
    "truncate": refused(_WHOLE, harmless=(False,)),
    "shift": refused(
        "an answer that fills the context ends there, with the reason length", harmless=(False,)
    ),
    "_debug_render_only": refused("prompts are not shown here", harmless=(False,)),
}

CHAT_FIELDS = FieldTable(
    {
        **_SHARED,
        "messages": honoured(
            "without any, the model is only loaded, or unloaded by keep_alive 0; a last one that is"
            " the assistant's is continued"
        ),
        "tools": honoured(),
    }
)

GENERATE_FIELDS = FieldTable(
    {
        **_SHARED,
        "prompt": honoured("an empty one only loads the model, or unloads it with keep_alive 0"),
        "suffix": honoured(
            "the answer fills the gap between prompt and suffix; refused by models that were not"
            " trained for it"
        ),
        "system": honoured(),
        "template": refused(
            "templates of the language Go are not run; the model's own Jinja template is, or none"
            " with raw",
            harmless=("",),
        ),
        "context": refused(
            "it is Ollama's old form of a conversation: send the messages to /api/chat",
            harmless=([],),
        ),
        "raw": honoured("the prompt is continued as it is"),
        "images": honoured("refused by models that cannot see"),
        "width": no_op(f"for models that make pictures; {_NO_PICTURES}"),
        "height": no_op(f"for models that make pictures; {_NO_PICTURES}"),
        "steps": no_op(f"for models that make pictures; {_NO_PICTURES}"),
    }
)
