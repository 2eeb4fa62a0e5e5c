"""Loading a model, and what can go wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gguf_file import HEADER_BYTES, Walk

from stoker.artifact import ModelBundle
from stoker.engine import Mode
from stoker.errors import LoadError, OperationCancelledError
from stoker_llama_cpp import plugin
from stoker_llama_cpp.context import Context
from stoker_llama_cpp.options import LlamaCppOptions

pytestmark = pytest.mark.model


def ignore(stage: str, fraction: float | None) -> None:
    """Nobody watches."""


def with_key(data: bytes, key: str, value: int) -> bytes:
    """A GGUF file with one more number in its metadata.

    A text of the right length is added, too, so that what follows keeps its alignment of 32 bytes.
    See https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
    """

    def text(content: bytes) -> bytes:
        return struct.pack("<Q", len(content)) + content

    number = text(key.encode()) + struct.pack("<II", 4, value)
    padding = text(b"padding") + struct.pack("<IQ", 8, 0)
    fill = -(len(number) + len(padding)) % 32
    padding = text(b"padding") + struct.pack("<I", 8) + text(b"-" * fill)
    (count,) = struct.unpack_from("<Q", data, 16)
    header = data[:16] + struct.pack("<Q", count + 2)
    return header + number + padding + data[HEADER_BYTES:]


def split(data: bytes) -> tuple[bytes, bytes]:
    """A GGUF file in two shards: the first has the metadata, each has half of the tensors."""
    version_and_magic = data[:8]
    walk = Walk(data)
    tensor_count, key_count = walk.tensor_count, walk.key_count
    walk.skip_keys()
    keys = data[HEADER_BYTES : walk.place]
    infos = []
    for _ in range(tensor_count):
        start = walk.place
        walk.text()
        dimensions = walk.take("I")
        walk.place += 8 * dimensions + 4
        infos.append((data[start : walk.place], walk.take("Q")))
    tensors = data[walk.data_place :]
    shards = []
    half = tensor_count // 2
    for number, part in enumerate((infos[:half], infos[half:])):
        begin = part[0][1]
        end = infos[half][1] if number == 0 else len(tensors)
        own = b"".join(
            struct.pack("<Q", len(key)) + key.encode() + struct.pack(f"<I{layout}", kind, value)
            for key, kind, layout, value in (
                ("split.no", 2, "H", number),
                ("split.count", 2, "H", 2),
                ("split.tensors.count", 5, "i", tensor_count),
            )
        )
        counts = struct.pack("<QQ", len(part), 3 + (key_count if number == 0 else 0))
        head = version_and_magic + counts + own + (keys if number == 0 else b"")
        head += b"".join(info + struct.pack("<Q", offset - begin) for info, offset in part)
        shards.append(head + b"\0" * (-len(head) % 32) + tensors[begin:end])
    return shards[0], shards[1]


@pytest.fixture
def changed(tmp_path: Path, model_path: Path) -> Callable[[Callable[[bytes], bytes]], Path]:
    """Writes a changed copy of the model."""

    def write(change: Callable[[bytes], bytes]) -> Path:
        path = tmp_path / "model.gguf"
        path.write_bytes(change(model_path.read_bytes()))
        return path

    return write


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: b"", "is no GGUF file: it begins with b''"),
        (lambda data: b"PK\x03\x04" + data, r"is no GGUF file: it begins with b'PK"),
        (lambda data: data[:20], "failed to read header"),
        (lambda data: data[:1000], "exceeds remaining file size"),
        (lambda data: data[:-1000], "data is not within the file bounds"),
        (
            lambda data: data.replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0lhama", 1),
            "lhama",
        ),
        (lambda data: data.replace(b"blk.3.attn_q", b"blk.3.attn_x", 1), "blk.3.attn_q"),
    ],
    ids=["empty", "zip", "header", "metadata", "tensors", "architecture", "missing-tensor"],
)
def test_bad_files_are_told_in_the_librarys_words(
    changed: Any, bundle_of: Any, change: Callable[[bytes], bytes], words: str
) -> None:
    """Truncated and corrupt files give a load error that says what is wrong with which file."""
    path = changed(change)

    with pytest.raises(LoadError, match=rf"model\.gguf.*{words}"):
        plugin.load(bundle_of(path), LlamaCppOptions(threads=1), ignore)


def test_a_missing_file_is_told(tmp_path: Path, bundle_of: Any) -> None:
    """A file that has gone since the model was pulled is a load error."""

    with pytest.raises(LoadError, match="No such file"):
        plugin.load(bundle_of(tmp_path / "gone.gguf"), LlamaCppOptions(), ignore)


def test_weights_are_needed(bundle_of: Callable[..., ModelBundle]) -> None:
    """A bundle without weights cannot be loaded."""

    with pytest.raises(LoadError, match="no weights"):
        plugin.load(bundle_of(), LlamaCppOptions(), ignore)


def test_shards_must_be_shards(model_path: Path, bundle_of: Any) -> None:
    """Two files of which the first is a whole model are refused, not read in part."""

    with pytest.raises(LoadError, match=r"2 files of weights, .* says that there are 1"):
        plugin.load(bundle_of(model_path, model_path), LlamaCppOptions(threads=1), ignore)


def test_shards_of_any_name_are_loaded(tmp_path: Path, model_path: Path, bundle_of: Any) -> None:
    """Shards are read in the bundle's order, whatever their files are called."""
    paths = [tmp_path / "zebra", tmp_path / "apple"]
    for path, data in zip(paths, split(model_path.read_bytes()), strict=True):
        path.write_bytes(data)
    engine = plugin.load(bundle_of(*paths), LlamaCppOptions(threads=1, context_length=256), ignore)
    engine.close()

    assert 49152 == engine.info.vocabulary_size
    with pytest.raises(LoadError, match=r"zebra"):
        plugin.load(bundle_of(paths[0]), LlamaCppOptions(threads=1), ignore)


def test_a_pooling_in_the_file_makes_embeddings(changed: Any, bundle_of: Any) -> None:
    """A model that was trained to pool its outputs is for embeddings, not for text."""
    path = changed(lambda data: with_key(data, "llama.pooling_type", 1))

    engine = plugin.load(bundle_of(path), LlamaCppOptions(threads=1, context_length=64), ignore)

    assert frozenset({Mode.EMBED}) == engine.info.modes
    engine.close()


def test_progress_is_told(model_path: Path, bundle_of: Any) -> None:
    """The stages come in order, with fractions while the weights are read."""
    seen: list[tuple[str, float | None]] = []
    options = LlamaCppOptions(threads=1, context_length=256)
    engine = plugin.load(
        bundle_of(model_path), options, lambda stage, fraction: seen.append((stage, fraction))
    )
    engine.close()

    assert ["reading weights", "preparing the context", "warming up"] == list(
        dict.fromkeys(stage for stage, _ in seen)
    )
    assert all(0 <= (fraction or 0) <= 1 for _, fraction in seen)


@pytest.mark.parametrize("stage", ["reading weights", "preparing the context", "warming up"])
@pytest.mark.parametrize("error", [OperationCancelledError("nobody waits"), KeyboardInterrupt()])
def test_a_load_can_be_given_up(
    model_path: Path, bundle_of: Any, stage: str, error: BaseException
) -> None:
    """What the progress callback raises comes out of the load, also through C."""

    def progress(current: str, fraction: float | None) -> None:
        if current == stage:
            raise error

    with pytest.raises(type(error)) as caught:
        plugin.load(bundle_of(model_path), LlamaCppOptions(threads=1, context_length=256), progress)
    assert error is caught.value


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"context_length": 8193}, "trained for 8192"),
        ({"context_length": 1024, "cache_tokens": 512}, "cache_tokens is 512"),
        ({"max_sequences": 8, "batch_size": 4}, "batch_size is 4"),
        ({"cache_type_v": "q8_0", "flash_attention": "off"}, "flash_attn"),
    ],
)
def test_options_that_do_not_fit_are_told(
    model_path: Path, bundle_of: Any, options: dict[str, Any], words: str
) -> None:
    """Options that contradict the model or each other are a load error that names them."""

    with pytest.raises(LoadError, match=words):
        plugin.load(bundle_of(model_path), LlamaCppOptions(**options), ignore)


def test_lack_of_memory_shows_at_load(
    model_path: Path, bundle_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first batch that cannot be computed is a load error, not the first request's."""
    monkeypatch.setattr(Context, "decode", lambda self, batch: -2)

    with pytest.raises(LoadError, match="code -2"):
        plugin.load(bundle_of(model_path), LlamaCppOptions(context_length=256), ignore)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 8192),
        ({"context_length": 300}, 300),
        ({"context_length": 300, "cache_tokens": 1000, "cache_type_k": "q8_0"}, 300),
        ({"mmap": False, "gpu_layers": 0, "flash_attention": "on", "context_length": 256}, 256),
        ({"context_length": 2, "max_sequences": 256}, 2),
    ],
)
def test_options_are_applied(load: Any, options: dict[str, Any], expected: int) -> None:
    """The context is as long as the options say, and the model answers with each of them."""
    player = load(**options)
    player.submit(1, (504,), max_tokens=1)
    player.run()

    assert expected == player.engine.info.context_length
    assert 1 == len(player.tokens(1))


def test_more_cells_take_more_memory(load: Any) -> None:
    """The memory that is told grows with the cache: SmolLM2 takes 22.5 KiB per token."""
    small, large = (load(context_length=256, cache_tokens=cells) for cells in (256, 4352))
    difference = large.engine.info.memory_bytes - small.engine.info.memory_bytes

    assert difference > 4096 * 22_000
