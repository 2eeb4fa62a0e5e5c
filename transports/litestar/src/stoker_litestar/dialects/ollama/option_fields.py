"""What becomes of every option in the table `options`."""

from __future__ import annotations

from stoker_litestar.dialects.fields import FieldTable, honoured, no_op, refused

_LOADING = "how a model is loaded is for the server's configuration, and changes no answer"
_OLD = "it has been without effect in Ollama for long"

OPTION_FIELDS = FieldTable(
    {
        "temperature": honoured("unset takes the model's own default"),
        "top_k": honoured("0 and less keeps all"),
        "top_p": honoured("unset takes the model's own default"),
        "min_p": honoured(),
        "typical_p": refused(
            "there is no typical sampling: use top_p or min_p", harmless=(0.0, 1.0)
        ),
        "tfs_z": refused("there is no tail-free sampling: use top_p or min_p", harmless=(1.0,)),
        "repeat_last_n": honoured("-1 looks at the whole context"),
        "repeat_penalty": honoured(),
        "presence_penalty": honoured(),
        "frequency_penalty": honoured(),
        "penalize_newline": refused(
            "penalties look at line breaks like at other tokens", harmless=(True,)
        ),
        "mirostat": refused("there is no mirostat: use top_p or min_p", harmless=(0,)),
        "mirostat_tau": no_op("only mirostat reads it, which is refused"),
        "mirostat_eta": no_op("only mirostat reads it, which is refused"),
        "seed": honoured("a negative one means any"),
        "num_predict": honoured("-1 and -2 set no limit"),
        "stop": honoured("a text or a list of texts"),
        "num_ctx": no_op(
            "the context follows from the memory budget or the server's configuration; a prompt"
            " that does not fit is an error and never cut"
        ),
        "num_keep": no_op("it says what to keep of a prompt that is cut, and none is cut"),
        "num_batch": no_op(_LOADING),
        "num_gpu": no_op(_LOADING),
        "main_gpu": no_op(_LOADING),
        "num_thread": no_op(_LOADING),
        "draft_num_predict": no_op("how tokens are guessed ahead changes no answer"),
        "use_mmap": no_op(_LOADING),
        "use_mlock": no_op(_LOADING),
        "numa": no_op(_LOADING),
        "low_vram": no_op(_OLD),
        "f16_kv": no_op(_OLD),
        "logits_all": no_op(_OLD),
        "vocab_only": refused("a model is loaded whole", harmless=(False,)),
        "embedding_only": refused("a model does what it is made for", harmless=(False,)),
    }
)
