"""Turn a GGUF file of a Llama model into the folder that MLX reads, with the same weights.

    python tools/gguf_to_mlx.py MODEL.gguf FOLDER [--floats]

Blocks of Q4_0, Q4_1 and Q8_0 are kept as they are: MLX has the same, in groups of 32 with a scale
and a bias. So both engines compute with equal weights, and what they say can be compared. With
--floats they are turned into 16-bit floats. Only tokenizers that work on bytes, of the kind that
SmolLM2 has, are turned.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx

# enum llama_token_type of llama.cpp's include/llama.h.
_CONTROL, _USER_DEFINED = 3, 4
_GROUP = 32

_LAYER = re.compile(r"blk\.(\d+)\.(\w+)")
_MODULES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TOPS = {"output_norm": "model.norm", "token_embd": "model.embed_tokens", "output": "lm_head"}
# How tokenizers cut texts before they look for tokens, by the names of llama.cpp.
_CUTS: dict[str, list[dict[str, Any]]] = {
    "smollm": [
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    ],
    "gpt-2": [
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    ],
}


def convert(source: Path, folder: Path, *, floats: bool = False) -> None:
    """Write a folder with weights, config and tokenizer.

    Args:
        source: The file.
        folder: Where to; made when it is not there.
        floats: Write floats in the place of blocks.

    Raises:
        ValueError: The file is of another architecture, or has another kind of tokenizer.
    """
    loaded: Any = mx.load(str(source), format="gguf", return_metadata=True)
    tensors, facts = loaded
    architecture = facts.get("general.architecture")
    if architecture != "llama":
        raise ValueError(f"{source.name} is no Llama model, but {architecture}.")
    cut = facts.get("tokenizer.ggml.pre")
    if facts.get("tokenizer.ggml.model") != "gpt2" or cut not in _CUTS:
        raise ValueError(f"{source.name} has a tokenizer of another kind: {cut}.")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "tokenizer.json", _tokenizer(facts, _CUTS[cut]))
    write_json(folder / "tokenizer_config.json", _tokenizer_config(facts))
    weights, bits = _weights(tensors, facts)
    if floats:
        weights, bits = _floats(weights, bits), {}
    write_json(folder / "config.json", _config(facts, bits, tied="lm_head.weight" not in weights))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})


def _weights(
    tensors: dict[str, Any], facts: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, int]]:
    """The tensors under MLX's names, and the bits of the modules that are quantised."""
    heads = {
        "attn_q": _number(facts, "attention.head_count"),
        "attn_k": _number(facts, "attention.head_count_kv"),
    }
    weights, bits = {}, {}
    for name, tensor in tensors.items():
        path, _, kind = name.rpartition(".")
        match = _LAYER.fullmatch(path)
        module = f"model.layers.{match[1]}.{_MODULES[match[2]]}" if match else _TOPS[path]
        if match and match[2] in heads:
            tensor = _unmixed(tensor, heads[match[2]])  # noqa: PLW2901 - the same one, in order
        weights[f"{module}.{kind}"] = tensor
        if kind == "scales":
            columns = tensor.shape[1] * _GROUP
            bits[module] = tensors[f"{path}.weight"].shape[1] * 32 // columns
    return weights, bits


def _floats(weights: dict[str, Any], bits: dict[str, int]) -> dict[str, Any]:
    """The same weights without blocks."""
    whole = {name: value for name, value in weights.items() if name.rpartition(".")[0] not in bits}
    for module, count in bits.items():
        blocks, scales, biases = (
            weights[f"{module}.{kind}"] for kind in ("weight", "scales", "biases")
        )
        whole[f"{module}.weight"] = mx.dequantize(
            blocks, scales, biases, group_size=_GROUP, bits=count
        )
    return whole


def _unmixed(tensor: Any, heads: int) -> Any:
    """Put rows back that llama.cpp has in another order, for its way to turn positions."""
    rows, *rest = tensor.shape
    return tensor.reshape(heads, rows // heads // 2, 2, *rest).swapaxes(1, 2).reshape(rows, *rest)


def _config(facts: dict[str, Any], bits: dict[str, int], *, tied: bool) -> dict[str, Any]:
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": _number(facts, "embedding_length"),
        "intermediate_size": _number(facts, "feed_forward_length"),
        "num_hidden_layers": _number(facts, "block_count"),
        "num_attention_heads": _number(facts, "attention.head_count"),
        "num_key_value_heads": _number(facts, "attention.head_count_kv"),
        "max_position_embeddings": _number(facts, "context_length"),
        "rms_norm_eps": _value(facts["llama.attention.layer_norm_rms_epsilon"]),
        "rope_theta": _value(facts["llama.rope.freq_base"]),
        "vocab_size": len(facts["tokenizer.ggml.tokens"]),
        "tie_word_embeddings": tied,
        "bos_token_id": int(_value(facts["tokenizer.ggml.bos_token_id"])),
        "eos_token_id": int(_value(facts["tokenizer.ggml.eos_token_id"])),
        "torch_dtype": "float16",
    }
    if bits:
        usual = min(bits.values())
        others = {
            name: {"group_size": _GROUP, "bits": count}
            for name, count in bits.items()
            if count != usual
        }
        config["quantization"] = {"group_size": _GROUP, "bits": usual, **others}
    return config


def added_tokens(tokens: list[str], kinds: list[int]) -> list[dict[str, Any]]:
    """The tokens that are looked for in a text before all others, as `tokenizer.json` has them."""
    return [
        {
            "id": token,
            "content": text,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": kinds[token] == _CONTROL,
        }
        for token, text in enumerate(tokens)
        if kinds[token] in {_CONTROL, _USER_DEFINED}
    ]


def _tokenizer(facts: dict[str, Any], cut: list[dict[str, Any]]) -> dict[str, Any]:
    tokens = facts["tokenizer.ggml.tokens"]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens(tokens, facts["tokenizer.ggml.token_type"].tolist()),
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": cut},
        "post_processor": None,
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": True,
            "use_regex": True,
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {text: token for token, text in enumerate(tokens)},
            "merges": [merge.split(" ", 1) for merge in facts["tokenizer.ggml.merges"]],
        },
    }


def _tokenizer_config(facts: dict[str, Any]) -> dict[str, Any]:
    tokens = facts["tokenizer.ggml.tokens"]
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": _number(facts, "context_length"),
    }
    for name in ("bos", "eos", "unknown", "padding"):
        token = facts.get(f"tokenizer.ggml.{name}_token_id")
        if token is not None:
            short = {"unknown": "unk", "padding": "pad"}.get(name, name)
            config[f"{short}_token"] = tokens[int(_value(token))]
    template = facts.get("tokenizer.chat_template")
    return config | ({"chat_template": template} if template else {})


def _number(facts: dict[str, Any], key: str) -> int:
    return int(_value(facts[f"llama.{key}"]))


def _value(fact: Any) -> float:
    return float(fact.item())


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a file of a model's folder."""
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def main() -> None:
    """Convert what the command line names."""
    names = [argument for argument in sys.argv[1:] if argument != "--floats"]
    if len(names) != 2:  # noqa: PLR2004 - a file and a folder
        raise SystemExit(__doc__)
    convert(Path(names[0]), Path(names[1]), floats="--floats" in sys.argv)


if __name__ == "__main__":
    main()
