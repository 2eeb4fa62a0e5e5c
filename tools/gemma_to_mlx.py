"""Turn a GGUF file of a Gemma 3 model for text into the folder that MLX reads.

    python tools/gemma_to_mlx.py MODEL.gguf FOLDER

Weights of any kind of block become bfloat16, which the model was trained in; MLX has no such blocks
as most of these files have. Its tokenizer is one of pieces with scores. The library `tokenizers`
reads it as merges of pairs, which come in the order of the scores.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
from gguf import GGUFReader, dequantize
from gguf_to_mlx import added_tokens, write_json

_PLAIN = 1
_SPACE = "\u2581"
_LAYER = re.compile(r"blk\.(\d+)\.(\w+)\.weight")
_MODULES = {
    "attn_norm": "input_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TOPS = {
    "output_norm.weight": "model.norm.weight",
    "token_embd.weight": "model.embed_tokens.weight",
}
# One layer of six sees all tokens; the others' positions turn at a speed of their own. No GGUF
# file says so: these are the family's, see llama.cpp's src/llama-model.cpp, LLM_ARCH_GEMMA3.
_PATTERN = 6
_LOCAL_BASE = 10_000.0


def convert(source: Path, folder: Path) -> None:
    """Write a folder with weights, config and tokenizer.

    Args:
        source: The file.
        folder: Where to; made when it is not there.

    Raises:
        ValueError: The file is of another architecture, or has another kind of tokenizer.
    """
    reader = GGUFReader(source)
    facts = {name: field.contents() for name, field in reader.fields.items()}
    if (architecture := facts.get("general.architecture")) != "gemma3":
        raise ValueError(f"{source.name} is no Gemma 3 model, but {architecture}.")
    if (kind := facts.get("tokenizer.ggml.model")) != "llama":
        raise ValueError(f"{source.name} has a tokenizer of another kind: {kind}.")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "tokenizer.json", _tokenizer(facts))
    write_json(folder / "tokenizer_config.json", _tokenizer_config(facts))
    write_json(folder / "config.json", _config(facts))
    weights = {}
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type)
        if tensor.name.endswith("norm.weight"):
            # llama.cpp's files have 1 added, which MLX's model does by itself.
            values = values - 1.0
        match = _LAYER.fullmatch(tensor.name)
        name = (
            f"model.layers.{match[1]}.{_MODULES[match[2]]}.weight" if match else _TOPS[tensor.name]
        )
        weights[name] = mx.array(values).astype(mx.bfloat16)
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})


def _config(facts: Mapping[str, Any]) -> dict[str, Any]:
    def fact(name: str) -> Any:
        return facts[f"gemma3.{name}"]

    return {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "hidden_size": fact("embedding_length"),
        "intermediate_size": fact("feed_forward_length"),
        "num_hidden_layers": fact("block_count"),
        "num_attention_heads": fact("attention.head_count"),
        "num_key_value_heads": fact("attention.head_count_kv"),
        "head_dim": fact("attention.key_length"),
        "query_pre_attn_scalar": fact("attention.key_length"),
        "rms_norm_eps": fact("attention.layer_norm_rms_epsilon"),
        "rope_theta": fact("rope.freq_base"),
        "rope_local_base_freq": _LOCAL_BASE,
        "sliding_window": fact("attention.sliding_window"),
        "sliding_window_pattern": _PATTERN,
        "max_position_embeddings": fact("context_length"),
        "vocab_size": len(facts["tokenizer.ggml.tokens"]),
        "tie_word_embeddings": True,
        "bos_token_id": facts["tokenizer.ggml.bos_token_id"],
        "eos_token_id": facts["tokenizer.ggml.eos_token_id"],
        "torch_dtype": "bfloat16",
    }


def _tokenizer(facts: Mapping[str, Any]) -> dict[str, Any]:
    tokens, kinds = facts["tokenizer.ggml.tokens"], facts["tokenizer.ggml.token_type"]
    begin = facts["tokenizer.ggml.bos_token_id"]
    begins = [
        {"SpecialToken": {"id": tokens[begin], "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
    ]
    special = {tokens[begin]: {"id": tokens[begin], "ids": [begin], "tokens": [tokens[begin]]}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens(tokens, kinds),
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE},
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": begins,
            "pair": [*begins, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": special,
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": _SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": tokens[facts["tokenizer.ggml.unknown_token_id"]],
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {text: token for token, text in enumerate(tokens)},
            "merges": _merges(tokens, facts["tokenizer.ggml.scores"], kinds),
        },
    }


def _merges(tokens: list[str], scores: list[float], kinds: list[int]) -> list[tuple[str, str]]:
    """All ways to make a piece of two others, those with the best piece first."""
    plain = {text: token for token, text in enumerate(tokens) if kinds[token] == _PLAIN}
    found = []
    for text, token in plain.items():
        pairs = [(text[:cut], text[cut:]) for cut in range(1, len(text))]
        known = [pair for pair in pairs if pair[0] in plain and pair[1] in plain]
        known.sort(key=lambda pair: (plain[pair[0]], plain[pair[1]]))
        found += [(pair, scores[token]) for pair in known]
    found.sort(key=lambda item: -item[1])
    return [pair for pair, _ in found]


def _tokenizer_config(facts: Mapping[str, Any]) -> dict[str, Any]:
    tokens = facts["tokenizer.ggml.tokens"]
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": facts["gemma3.context_length"],
    }
    for name, short in (("bos", "bos"), ("eos", "eos"), ("unknown", "unk"), ("padding", "pad")):
        config[f"{short}_token"] = tokens[facts[f"tokenizer.ggml.{name}_token_id"]]
    template = facts.get("tokenizer.chat_template")
    return config | ({"chat_template": template} if template else {})


def main() -> None:
    """Convert what the command line names."""
    if len(sys.argv) != 3:  # noqa: PLR2004 - a file and a folder
        raise SystemExit(__doc__)
    convert(Path(sys.argv[1]), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
