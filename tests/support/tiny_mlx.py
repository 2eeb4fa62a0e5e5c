"""Folders of tiny models in safetensors: a tokenizer of bytes and a few words, and weights.

Most are random: their answers mean nothing, but are as fixed by what came before as those of any
model. One knows the capital of France.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from stoker.artifact import BundleFile, ModelBundle
from stoker.digest import Digest
from stoker.media_types import SAFETENSORS, Role
from stoker.reference import Reference

CONTEXT_LENGTH = 2048
WIDTH = 32
SPECIAL = ("<s>", "</s>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SENTENCE = ("It", " is", " Paris", ",", " of", " course", ".", "<|im_end|>")
_FACTS = "".join(_SENTENCE[:-1]) + ' "Paris" {"name": "get_weather", "arguments": "city", "unit"}'
_CLEAR = 1.0
_LIKED = {'"': 0.5, "Paris": 0.3, "}": 0.25, "]": 0.2, "null": 0.15, ",": 0.1}
_WORDS = "the quick brown fox jumps over the lazy dog and runs away from a cat"

Tensors = dict[str, npt.NDArray[np.float32]]


def llama(folder: Path, **settings: Any) -> Path:
    """Write a model of attention layers.

    Args:
        folder: Where to; made anew.
        **settings: Of `config.json`, over the usual ones.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True)
    tokenizer = write_tokenizer(folder)
    # Wider than the vocabulary, as padded models are.
    config = _config(tokenizer.get_vocab_size() + 5, **settings)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(llama_tensors(config), folder / "model.safetensors", metadata={"format": "mlx"})
    return folder


def _config(vocabulary_size: int, **settings: Any) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT_LENGTH,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "vocab_size": vocabulary_size,
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "eos_token_id": 1,
        **settings,
    }


def sliding(folder: Path, window: int = 32) -> Path:
    """Write a model in which one layer sees all tokens and the others a window."""
    kinds = ["sliding_attention", "full_attention", "sliding_attention"]
    return llama(folder, num_hidden_layers=3, layer_types=kinds, sliding_window=window)


def knowing(folder: Path) -> Path:
    """Write a model that answers each chat with one sentence: what the capital of France is.

    Its vectors have a number for each token, and its layers add nothing to them. So a token alone
    decides what comes next: in the sentence the next word, and everywhere else a quoted name over
    and over. In answers of a form it ends texts and lists soon.
    """
    folder.mkdir(parents=True)
    tokenizer = write_tokenizer(folder, _FACTS)
    count = tokenizer.get_vocab_size()
    width = count + -count % 64
    config = _config(width, hidden_size=width, max_position_embeddings=8 * CONTEXT_LENGTH)
    tensors = llama_tensors(config)
    for name, value in tensors.items():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            value[:] = 0
        elif name.endswith("norm.weight"):
            value[:] = 1
    following = np.zeros((width, width), dtype=np.float32)

    def token(text: str) -> int:
        # Rules with several tokens are for the first of them.
        return int(tokenizer.encode(text, add_special_tokens=False).ids[0])

    for text, worth in _LIKED.items():
        following[token(text), :] = worth
    following[token("Paris"), token('"')] = _CLEAR
    for text, after in zip(("\n", *_SENTENCE), _SENTENCE, strict=False):
        following[token(after), token(text)] = _CLEAR
    tensors["model.embed_tokens.weight"] = np.eye(width, dtype=np.float32)
    tensors["lm_head.weight"] = following
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "mlx"})
    return folder


def llama_tensors(config: dict[str, Any]) -> Tensors:
    """Random weights for a config."""
    random = np.random.default_rng(0)
    width, inner = config["hidden_size"], config["intermediate_size"]
    head = width // config["num_attention_heads"]
    keys = head * config["num_key_value_heads"]

    def matrix(rows: int, columns: int) -> npt.NDArray[np.float32]:
        weights = random.normal(0, columns**-0.5, (rows, columns))
        return np.asarray(weights, np.float32)

    def norm() -> npt.NDArray[np.float32]:
        return np.asarray(random.normal(1, 0.1, width), np.float32)

    tensors = {
        # Wide enough that logits are far apart, and batches of other shapes have the same best.
        "model.embed_tokens.weight": matrix(config["vocab_size"], width) * 8,
        "model.norm.weight": norm(),
        "lm_head.weight": matrix(config["vocab_size"], width) * 4,
    }
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        tensors |= {
            f"{layer}.input_layernorm.weight": norm(),
            f"{layer}.post_attention_layernorm.weight": norm(),
            f"{layer}.self_attn.q_proj.weight": matrix(width, width) * 3,
            f"{layer}.self_attn.k_proj.weight": matrix(keys, width) * 3,
            f"{layer}.self_attn.v_proj.weight": matrix(keys, width) * 3,
            f"{layer}.self_attn.o_proj.weight": matrix(width, width) * 3,
            f"{layer}.mlp.gate_proj.weight": matrix(inner, width),
            f"{layer}.mlp.up_proj.weight": matrix(inner, width),
            f"{layer}.mlp.down_proj.weight": matrix(width, inner),
        }
    return tensors


def write_tokenizer(folder: Path, words: str = _WORDS) -> Tokenizer:
    """Write a tokenizer: all bytes, pieces of some words, and special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320 if words is _WORDS else 512,
        special_tokens=[AddedToken(text, special=True) for text in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([words] * 10, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"bos_token": "<s>", "eos_token": "</s>", "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return tokenizer


def bundle_of(folder: Path, *, adapters: tuple[str, ...] = ()) -> ModelBundle:
    """A folder as a store opens it."""
    files = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            is_weights = path.suffix == ".safetensors" and path.name not in adapters
            role = Role.CONFIG
            if path.suffix == ".safetensors":
                role = Role.WEIGHTS if is_weights else Role.ADAPTER
            files.append(BundleFile(path, role, SAFETENSORS if is_weights else None))
    return ModelBundle(Reference.parse("ai/tiny"), Digest.of(b"tiny"), tuple(files))
