"""Convert all-MiniLM-L6-v2 (Apache-2.0), the tests' model for embeddings, to GGUF.

    python tools/minilm_to_gguf.py FOLDER_WITH_MODEL_SAFETENSORS all-minilm-l6-v2.F16.gguf

The folder is one as Hugging Face's transformers write it. llama.cpp's own converter does the same,
but it is no package and needs a framework of two gigabytes. The result is always the same bytes.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Tensors = Mapping[str, npt.NDArray[Any]]

ALIGNMENT = 32
NORMAL, CONTROL = 1, 3
"""Types of tokens (LLAMA_TOKEN_TYPE_... of llama.h)."""
MEAN_POOLING = 1
_MOSTLY_F16 = 1

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_EMBEDDINGS = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
}
_LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
# llama.cpp adds these to what it computes, which is 32 bits wide.
_KEPT_WIDE = ("position_embd.weight", "token_types.weight")


def write_gguf(path: Path, metadata: Mapping[str, Any], tensors: Tensors) -> None:
    """Write a GGUF file; see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.

    Args:
        path: Where to.
        metadata: Texts, booleans, floats, whole numbers that are not negative, and lists of texts
            or whole numbers.
        tensors: Arrays of 16- and 32-bit floats, with the rows as numpy has them.
    """
    head = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)))
    for key, value in metadata.items():
        head += _text(key) + _value(value)
    offset = 0
    for name, array in tensors.items():
        shape = array.shape[::-1]
        head += _text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        head += struct.pack("<IQ", 1 if array.dtype == np.float16 else 0, offset)
        offset += array.nbytes + -array.nbytes % ALIGNMENT
    with path.open("wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT))
        for array in tensors.values():
            file.write(array.tobytes() + bytes(-array.nbytes % ALIGNMENT))


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: Any) -> bytes:
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + _text(value)
        case [str(), *_]:
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))
        case [int(), *_]:
            return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)
    raise TypeError(f"{type(value).__name__} has no place in this metadata.")


def read_safetensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The tensors of a file in 32-bit floats; others are left out.

    See https://github.com/huggingface/safetensors#format.
    """
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    head = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, item in sorted(head.items()):
        if name != "__metadata__" and item["dtype"] == "F32":
            begin, end = item["data_offsets"]
            part = data[8 + length + begin : 8 + length + end]
            tensors[name] = np.frombuffer(part, dtype="<f4").reshape(item["shape"])
    return tensors


def tokenizer(words: Sequence[str]) -> dict[str, Any]:
    """The metadata of a WordPiece vocabulary, with BERT's special tokens in it."""
    # GGUF marks beginnings of words; BERT marks what is none.
    marked = [
        word if word in _SPECIAL else word[2:] if word.startswith("##") else "\u2581" + word
        for word in words
    ]
    ids = {word: words.index(word) for word in _SPECIAL}
    prefix = "tokenizer.ggml."
    return {
        f"{prefix}model": "bert",
        f"{prefix}pre": "default",
        f"{prefix}tokens": marked,
        f"{prefix}token_type": [CONTROL if word in _SPECIAL else NORMAL for word in words],
        f"{prefix}token_type_count": 2,
        f"{prefix}bos_token_id": ids["[CLS]"],
        f"{prefix}eos_token_id": ids["[SEP]"],
        f"{prefix}seperator_token_id": ids["[SEP]"],
        f"{prefix}unknown_token_id": ids["[UNK]"],
        f"{prefix}padding_token_id": ids["[PAD]"],
        f"{prefix}mask_token_id": ids["[MASK]"],
        # A pair is [CLS] one [SEP] other [SEP].
        f"{prefix}add_bos_token": True,
        f"{prefix}add_eos_token": True,
        f"{prefix}add_sep_token": False,
    }


def architecture(
    *, layers: int, heads: int, width: int, hidden: int, context_length: int, pooling: int
) -> dict[str, Any]:
    """The metadata of a BERT."""
    return {
        "general.architecture": "bert",
        "bert.context_length": context_length,
        "bert.embedding_length": width,
        "bert.feed_forward_length": hidden,
        "bert.block_count": layers,
        "bert.attention.head_count": heads,
        "bert.attention.layer_norm_epsilon": 1e-12,
        "bert.attention.causal": False,
        "bert.pooling_type": pooling,
    }


def _renamed(tensors: Tensors) -> dict[str, npt.NDArray[Any]]:
    """The tensors by llama.cpp's names, without those that sentence vectors have no use for."""
    found = {}
    for name, array in tensors.items():
        base, _, kind = name.rpartition(".")
        target = _EMBEDDINGS.get(base)
        if base.startswith("encoder.layer."):
            number, _, part = base.removeprefix("encoder.layer.").partition(".")
            target = f"blk.{number}.{_LAYER[part]}"
        if target is not None:
            found[f"{target}.{kind}"] = array
    return found


def convert(folder: Path, target: Path) -> None:
    """Convert a model's folder to one file."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    metadata = {
        **architecture(
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            width=config["hidden_size"],
            hidden=config["intermediate_size"],
            context_length=config["max_position_embeddings"],
            pooling=MEAN_POOLING,
        ),
        "general.name": "all-MiniLM-L6-v2",
        "general.license": "apache-2.0",
        "general.file_type": _MOSTLY_F16,
        **tokenizer(words),
    }
    tensors = {
        name: array.astype(np.float16 if array.ndim > 1 and name not in _KEPT_WIDE else np.float32)
        for name, array in _renamed(read_safetensors(folder / "model.safetensors")).items()
    }
    write_gguf(target, metadata, tensors)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
