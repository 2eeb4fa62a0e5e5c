"""What becomes of every field of the requests that manage models."""

from __future__ import annotations

from stoker_litestar.dialects.fields import FieldRule, FieldTable, honoured, no_op, refused

_NOT_KEPT = "a model keeps no such thing here: send it with each request"
_OLD = "Ollama's old form: send from or files"

_NAME: dict[str, FieldRule] = {
    "model": honoured(),
    "name": honoured("the older name of model"),
}

TRANSFER_FIELDS = FieldTable(
    {
        **_NAME,
        "insecure": refused(
            "which registries are spoken to over plain http is for the server's configuration"
            " (stores.oci.insecure_hosts); loopback addresses always are",
            harmless=(False,),
        ),
        "username": refused("log in on the server's machine: stoker login", harmless=("",)),
        "password": refused("log in on the server's machine: stoker login", harmless=("",)),
        "stream": honoured("unset is true"),
    }
)

CREATE_FIELDS = FieldTable(
    {
        **_NAME,
        "from": honoured("the new name is another one of the same model"),
        "files": honoured(
            "the names of the files with the digests of blobs that were sent or are here: a GGUF"
            " model, or a folder with safetensors, config and tokenizer"
        ),
        "adapters": refused("adapters cannot be applied yet", harmless=({},)),
        "template": refused(
            "templates of the language Go are not run: put a Jinja template into files, as"
            " chat_template.jinja",
            harmless=("",),
        ),
        "license": honoured("one text or several; with files only"),
        "system": refused(_NOT_KEPT, harmless=("",)),
        "parameters": refused(_NOT_KEPT, harmless=({},)),
        "messages": refused(_NOT_KEPT, harmless=([],)),
        "quantize": refused("models are kept as they are", harmless=("",)),
        "quantization": refused("models are kept as they are", harmless=("",)),
        "modelfile": refused(_OLD, harmless=("",)),
        "path": refused(_OLD, harmless=("",)),
        "renderer": refused("the chat template does that here", harmless=("",)),
        "parser": refused("the chat template tells it here", harmless=("",)),
        "requires": no_op("it names a version of Ollama's own program"),
        "info": refused("what a model is, its files say", harmless=({},)),
        "remote_host": refused("no model runs elsewhere", harmless=("",)),
        "stream": honoured("unset is true"),
    }
)

COPY_FIELDS = FieldTable({"source": honoured(), "destination": honoured()})

DELETE_FIELDS = FieldTable(_NAME)

SHOW_FIELDS = FieldTable(
    {
        **_NAME,
        "verbose": no_op("what is short enough to show is always shown"),
        "system": refused(_NOT_KEPT, harmless=("",)),
        "template": refused(_NOT_KEPT, harmless=("",)),
        "options": refused(_NOT_KEPT, harmless=({},)),
    }
)
