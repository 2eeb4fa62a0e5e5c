"""Loading: which files are taken for what, and what is refused in a sentence."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import mlx.core as mx
import numpy as np
import pytest
import tiny_mlx
from player import Player
from safetensors.numpy import load_file, save_file

from stoker.artifact import ModelBundle
from stoker.engine import Mode, PoolingJob
from stoker.errors import (
    InvalidArtifactError,
    LoadError,
    OutOfMemoryError,
    StokerError,
    UnsupportedFeatureError,
)
from stoker_mlx import model as reading
from stoker_mlx import plugin
from stoker_mlx.options import MlxOptions


def ignore(stage: str, fraction: float | None) -> None:
    """Nobody watches."""


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    """The tiny model's folder, to be changed."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in tiny.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def configure(folder: Path, **changes: Any) -> None:
    """Change the config."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def answer(player: Player) -> list[int]:
    player.submit(1, "the quick brown", max_tokens=6)
    player.run()
    return player.tokens(1)


def test_names_of_files_do_not_matter(load: Callable[..., Player], copy: Path, tiny: Path) -> None:
    """Shards are what the artifact calls weights, whatever names they have."""
    tensors = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    names = sorted(tensors)
    for number, part in enumerate((names[::2], names[1::2])):
        save_file({name: tensors[name] for name in part}, copy / f"part{number}.safetensors")

    assert answer(load(tiny)) == answer(load(copy))


def test_other_packagings_are_left_alone(load: Callable[..., Player], copy: Path) -> None:
    """Beside `model.safetensors` lies the same in another form, which nobody needs."""
    (copy / "consolidated.safetensors").write_bytes((copy / "model.safetensors").read_bytes())

    assert 6 == len(answer(load(copy)))


def test_info_says_what_was_loaded(load: Callable[..., Player]) -> None:
    """Context, template, special tokens, memory and device are told."""
    info = load().engine.info

    assert tiny_mlx.CONTEXT_LENGTH == info.context_length
    assert tiny_mlx.TEMPLATE == info.chat_template
    assert {"bos_token": "<s>", "eos_token": "</s>"} == info.special_tokens
    assert info.memory_bytes
    assert 1 == len(info.devices)
    assert 100 == load(context_length=100).engine.info.context_length


@pytest.mark.parametrize(
    ("changes", "error", "complaint"),
    [
        ({"model_type": "no_such_thing"}, LoadError, "no_such_thing not supported"),
        ({"model_type": "..utils"}, InvalidArtifactError, "no model_type"),
        ({"model_type": None}, InvalidArtifactError, "no model_type"),
        ({"model_file": "evil.py"}, InvalidArtifactError, "code of its own"),
        ({"auto_map": {"AutoModel": "evil.Model"}, "hidden_size": 64}, LoadError, "cannot load"),
        ({"num_hidden_layers": 3}, LoadError, "cannot load"),
        ({"num_hidden_layers": 10**9}, InvalidArtifactError, "1000000000 layers"),
        ({"vocab_size": None}, InvalidArtifactError, "no config of a language model"),
    ],
)
def test_bad_configs_are_refused(
    copy: Path, changes: dict[str, Any], error: type[StokerError], complaint: str
) -> None:
    """What mlx-lm cannot load, and what wants code to run, is refused in a sentence."""
    configure(copy, **changes)

    with pytest.raises(error, match=complaint):
        plugin.load(tiny_mlx.bundle_of(copy), MlxOptions(), ignore)


def test_weights_are_safetensors_only(copy: Path) -> None:
    """A pickle under a false name is not opened."""
    (copy / "model.safetensors").write_bytes(b"\x80\x04\x95" + bytes(100))
    with pytest.raises(InvalidArtifactError, match="no safetensors file"):
        plugin.load(tiny_mlx.bundle_of(copy), MlxOptions(), ignore)


def test_missing_tensors_are_told_in_a_line(copy: Path) -> None:
    """However many are missing, the error is a sentence."""
    tensors = load_file(copy / "model.safetensors")
    del tensors["model.norm.weight"]
    few = {name: value for name, value in tensors.items() if ".layers." not in name}
    save_file(few, copy / "model.safetensors")

    with pytest.raises(LoadError, match=r"Missing 19 parameters: .*, model") as caught:
        plugin.load(tiny_mlx.bundle_of(copy), MlxOptions(), ignore)
    assert len(caught.value.message) < 300
    assert "\n" not in caught.value.message


def test_a_cut_file_is_told(copy: Path) -> None:
    """A file that ends too early is named before anything is computed with it."""
    data = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(data[:-10])

    with pytest.raises(InvalidArtifactError, match="ends before its last tensor"):
        plugin.load(tiny_mlx.bundle_of(copy), MlxOptions(), ignore)


def test_no_weights_are_told(bundle: ModelBundle) -> None:
    """An artifact without weights is refused."""
    empty = attrs.evolve(bundle, files=())

    with pytest.raises(InvalidArtifactError, match="no weights"):
        plugin.load(empty, MlxOptions(), ignore)


def test_a_lack_of_memory_is_told_apart(
    bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What MLX says when memory is short becomes the error on which others are evicted."""

    def fail(*arguments: Any, **options: Any) -> Any:
        raise RuntimeError("[malloc] Unable to allocate 99999999999 bytes.")

    monkeypatch.setattr(reading, "load_model", fail)

    with pytest.raises(OutOfMemoryError, match="does not fit"):
        plugin.load(bundle, MlxOptions(), ignore)


def test_groups_have_to_fit_the_heads(bundle: ModelBundle) -> None:
    """A quantised cache that the heads' width does not allow is refused when it is loaded."""
    with pytest.raises(LoadError, match="kv_group_size"):
        plugin.load(bundle, MlxOptions(kv_bits=4), ignore)


def test_loading_can_be_given_up(bundle: ModelBundle) -> None:
    """What the progress raises ends the load and leaves nothing in memory."""
    mx.clear_cache()
    before = mx.get_active_memory()

    def give_up(stage: str, fraction: float | None) -> None:
        if stage == "warming up":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plugin.load(bundle, MlxOptions(), give_up)
    assert mx.get_active_memory() <= before + 1024


def with_adapter(folder: Path, *, peft: bool, rank: int = 2) -> None:
    """Put an adapter beside a model that makes another one of it."""
    random = np.random.default_rng(7)
    width = tiny_mlx.WIDTH
    tensors = {}
    for layer in range(2):
        down = random.normal(0, 1, (rank, width)).astype(np.float32)
        up = random.normal(0, 1, (width, rank)).astype(np.float32)
        path = f"model.layers.{layer}.self_attn.q_proj"
        if peft:
            tensors[f"base_model.model.{path}.lora_A.weight"] = down
            tensors[f"base_model.model.{path}.lora_B.weight"] = up
        else:
            tensors[f"{path}.lora_a"] = np.ascontiguousarray(down.T)
            tensors[f"{path}.lora_b"] = np.ascontiguousarray(up.T)
    name = "adapter_model.safetensors" if peft else "adapters.safetensors"
    save_file(tensors, folder / name)
    config: dict[str, Any] = {"peft_type": "LORA", "r": rank, "lora_alpha": 4 * rank}
    if not peft:
        table = {"rank": rank, "scale": 4.0, "dropout": 0.0, "keys": ["self_attn.q_proj"]}
        config = {"fine_tune_type": "lora", "num_layers": 2, "lora_parameters": table}
    (folder / "adapter_config.json").write_text(json.dumps(config))


def fused(folder: Path) -> None:
    """The same change, put into the weights themselves."""
    adapter = load_file(folder / "adapters.safetensors")
    tensors = load_file(folder / "model.safetensors")
    for layer in range(2):
        path = f"model.layers.{layer}.self_attn.q_proj"
        change = 4.0 * (adapter[f"{path}.lora_a"] @ adapter[f"{path}.lora_b"]).T
        tensors[f"{path}.weight"] = np.ascontiguousarray(tensors[f"{path}.weight"] + change)
    save_file(tensors, folder / "model.safetensors")


def adapted(folder: Path) -> Player:
    names = ("adapters.safetensors", "adapter_model.safetensors")
    bundle = tiny_mlx.bundle_of(folder, adapters=names)
    return Player(plugin.load(bundle, MlxOptions(), ignore))


@pytest.mark.parametrize("peft", [True, False])
def test_adapters_are_applied(copy: Path, tiny: Path, tmp_path: Path, peft: bool) -> None:
    """A model with an adapter says what it would say with the adapter in its weights."""
    with_adapter(copy, peft=False)
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for path in copy.iterdir():
        (mixed / path.name).write_bytes(path.read_bytes())
    fused(mixed)
    (mixed / "adapters.safetensors").unlink()
    if peft:
        (copy / "adapters.safetensors").unlink()
        with_adapter(copy, peft=True)
    players = [adapted(copy), adapted(mixed), adapted(tiny)]
    answers = [answer(player) for player in players]
    for player in players:
        player.engine.close()

    assert answers[0] == answers[1]
    assert answers[0] != answers[2]


def test_adapters_of_other_models_are_refused(copy: Path) -> None:
    """An adapter has to fit: in its shapes, in what its config says, and as the only one."""
    with_adapter(copy, peft=False)
    config = json.loads((copy / "adapter_config.json").read_text())
    for changes, complaint in (
        ({"fine_tune_type": "full"}, "only lora and dora"),
        ({"lora_parameters": {"rank": 3, "scale": 1.0}}, "adapter of another model"),
        ({"lora_parameters": {"rank": -1, "scale": 1.0}}, "no rank"),
        ({"lora_parameters": {"rank": 2, "scale": "x"}}, "no scale"),
    ):
        (copy / "adapter_config.json").write_text(json.dumps(config | changes))
        with pytest.raises(InvalidArtifactError, match=complaint):
            adapted(copy)
    with_adapter(copy, peft=True)
    with pytest.raises(LoadError, match="2 adapters"):
        adapted(copy)


def embeddings(engine: Any, texts: list[str]) -> list[np.ndarray[Any, Any]]:
    for number, text in enumerate(texts):
        tokens = engine.encode(text, add_special=True, parse_special=False)
        engine.submit_pooling(PoolingJob(number, Mode.EMBED, tuple(tokens)))
    outputs = {}
    while not engine.idle:
        for output in engine.step():
            outputs[output.id] = np.frombuffer(output.embedding or b"", "<f4")
    return [outputs[number] for number in range(len(texts))]


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_embeddings_are_what_the_layers_give(tiny: Path, pooling: Any) -> None:
    """A text's vector is the mean of its tokens' or the last of them, whatever is beside it."""
    files = reading.ModelFiles.of(tiny_mlx.bundle_of(tiny))
    body = reading.read_model(files).model
    engine = plugin.load(tiny_mlx.bundle_of(tiny), MlxOptions(pooling=pooling), ignore)
    texts = ["the", "quick brown fox", "jumps over the lazy dog and runs away"]

    for text, found in zip(texts, embeddings(engine, texts), strict=True):
        tokens = engine.encode(text, add_special=True, parse_special=False)
        hidden = np.array(body(mx.array([tokens]))[0])
        expected = hidden.mean(axis=0) if pooling == "mean" else hidden[-1]
        assert expected == pytest.approx(found, abs=1e-4)
    engine.close()


def test_files_say_that_a_model_embeds(copy: Path) -> None:
    """Models for embeddings have a file that says how, and their weights lack the head's name."""
    (copy / "1_Pooling").mkdir()
    (copy / "1_Pooling" / "config.json").write_text('{"pooling_mode_lasttoken": true}')
    tensors = load_file(copy / "model.safetensors")
    del tensors["lm_head.weight"]
    bare = {name.removeprefix("model."): value for name, value in tensors.items()}
    save_file(bare, copy / "model.safetensors")
    configure(copy, tie_word_embeddings=True)
    engine = plugin.load(tiny_mlx.bundle_of(copy), MlxOptions(matryoshka=True), ignore)

    assert {Mode.EMBED} == engine.info.modes
    assert tiny_mlx.WIDTH == engine.info.embedding_length
    assert engine.info.matryoshka
    engine.close()


def test_other_poolings_are_refused(copy: Path) -> None:
    """A pooling that cannot be had is named, instead of another one."""
    (copy / "1_Pooling").mkdir()
    (copy / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')

    with pytest.raises(UnsupportedFeatureError, match="pooling_mode_cls_token"):
        plugin.load(tiny_mlx.bundle_of(copy), MlxOptions(), ignore)


def test_a_header_that_lies_is_refused(copy: Path) -> None:
    """Offsets beyond the file's end do not reach MLX."""
    header = b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'
    (copy / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"x")

    with pytest.raises(InvalidArtifactError, match="incomplete"):
        plugin.load(tiny_mlx.bundle_of(copy), MlxOptions(), ignore)
