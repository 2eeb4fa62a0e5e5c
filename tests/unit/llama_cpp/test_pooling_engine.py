"""Embeddings and scores, compared with the same model in numpy."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bert import (
    CONTEXT,
    RANK_POOLING,
    Tensors,
    cosine,
    hidden_states,
    logits,
    mean_embedding,
    read_tensors,
    write_tiny,
)

from stoker.engine import Engine, EngineInfo, Mode, PoolingJob, SequenceOutput
from stoker.errors import LoadError, StokerError, UnavailableError
from stoker_llama_cpp import plugin
from stoker_llama_cpp.options import LlamaCppOptions

TEXTS = ["hello world", "a", "some other words", "z y x w", "the same again and again"]
# The first numbers of "A man is eating food.", of length 1, by `bert.mean_embedding` over the
# weights of sentence-transformers/all-MiniLM-L6-v2 before they were converted, in 32 bits.
FOOD = [0.0332416, 0.00440608, -0.00627696, 0.04837873, -0.13870226, -0.03361737]
DRIFT = 1e-3
"""llama.cpp computes tanh and GELU by tables and dot products in 16 bits."""


@pytest.fixture
def load(bundle_of: Any) -> Iterator[Callable[..., Engine]]:
    """Loads files on one thread, and closes the engines after the test."""
    engines: list[Engine] = []

    def make(path: Path, **options: Any) -> Engine:
        wanted = LlamaCppOptions(threads=1, **options)
        engines.append(plugin.load(bundle_of(path), wanted, lambda stage, fraction: None))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a tiny model goes."""
    return tmp_path / "tiny.gguf"


def tokens_of(engine: Engine, text: str) -> tuple[int, ...]:
    return tuple(engine.encode(text, add_special=True, parse_special=False))


def run(engine: Engine) -> list[SequenceOutput]:
    outputs: list[SequenceOutput] = []
    while not engine.idle:
        outputs += engine.step()
    return outputs


def embed(engine: Engine, texts: list[str]) -> list[tuple[float, ...]]:
    for index, text in enumerate(texts):
        engine.submit_pooling(PoolingJob(index, Mode.EMBED, tokens_of(engine, text)))
    found = {output.id: output.embedding or b"" for output in run(engine)}
    return [struct.unpack(f"<{len(found[i]) // 4}f", found[i]) for i in range(len(texts))]


def pooled(tensors: Tensors, tokens: tuple[int, ...], pooling: int) -> Any:
    states = hidden_states(tensors, tokens, heads=4)
    return {1: states.mean(axis=0), 2: states[0], 3: states[-1]}[pooling]


@pytest.mark.parametrize("pooling", [1, 2, 3])
def test_vectors_are_those_of_the_model(
    load: Callable[..., Engine], path: Path, pooling: int
) -> None:
    """Texts of one batch are pooled each by itself, as the model's file says, and not scaled."""
    tensors = write_tiny(path, pooling=pooling)
    engine = load(path)

    for text, vector in zip(TEXTS, embed(engine, TEXTS), strict=True):
        expected = pooled(tensors, tokens_of(engine, text), pooling)
        assert cosine(expected, vector) > 0.9999
        assert np.linalg.norm(expected) == pytest.approx(np.linalg.norm(vector), rel=0.01)


@pytest.mark.parametrize(("name", "pooling"), [("mean", 1), ("cls", 2), ("last", 3)])
@pytest.mark.parametrize("said", [None, 1])
def test_an_option_says_the_pooling(
    load: Callable[..., Engine], path: Path, name: str, pooling: int, said: int | None
) -> None:
    """It stands in for what the file does not say, and above what it says."""
    tensors = write_tiny(path, pooling=said)
    engine = load(path, pooling=name)

    (vector,) = embed(engine, TEXTS[:1])

    assert cosine(pooled(tensors, tokens_of(engine, TEXTS[0]), pooling), vector) > 0.9999


def test_scores_are_those_of_the_model(load: Callable[..., Engine], path: Path) -> None:
    """The classifier's logit of each pair becomes a probability."""
    tensors = write_tiny(path, pooling=RANK_POOLING, classes=1)
    engine = load(path)
    pairs = [tuple(engine.encode_pair("what is this", text)) for text in TEXTS]

    for index, tokens in enumerate(pairs):
        engine.submit_pooling(PoolingJob(index, Mode.RERANK, tokens))
    scores = {output.id: output.score for output in run(engine)}

    assert frozenset({Mode.RERANK}) == engine.info.modes
    assert None is engine.info.embedding_length
    for index, tokens in enumerate(pairs):
        expected = 1 / (1 + math.exp(-float(logits(tensors, tokens)[0])))
        assert expected == pytest.approx(scores[index], abs=DRIFT)


def test_an_option_makes_a_reranker(load: Callable[..., Engine], path: Path) -> None:
    """A file with a classifier that names no pooling ranks when the option says so."""
    write_tiny(path, pooling=None, classes=1)

    assert frozenset({Mode.RERANK}) == load(path, pooling="rank").info.modes


def test_information(load: Callable[..., Engine], path: Path) -> None:
    """What was loaded: mode, dimensions, context, and no vocabulary for constraints."""
    write_tiny(path)
    engine = load(path)

    assert (
        EngineInfo(
            context_length=CONTEXT,
            vocabulary_size=57,
            special_tokens=engine.info.special_tokens,
            devices=engine.info.devices,
            memory_bytes=engine.info.memory_bytes,
            modes=frozenset({Mode.EMBED}),
            embedding_length=32,
        )
        == engine.info
    )
    assert None is engine.vocabulary()
    assert b"" == engine.token_bytes(2)
    assert load(path, matryoshka=True).info.matryoshka


def test_a_batch_ends_where_the_next_text_would_not_fit(
    load: Callable[..., Engine], path: Path
) -> None:
    """A step computes texts up to `batch_size` tokens, and a longer one by itself."""
    write_tiny(path)
    engine = load(path, batch_size=20)
    for index, count in enumerate((8, 8, 8, 60, 8)):
        engine.submit_pooling(PoolingJob(index, Mode.EMBED, (5,) * count))

    steps = []
    while not engine.idle:
        steps.append([output.id for output in engine.step()])

    assert [[0, 1], [2], [3], [4]] == steps


def test_priorities_go_first(load: Callable[..., Engine], path: Path) -> None:
    """Then turns, then the order in which texts came."""
    write_tiny(path)
    engine = load(path, batch_size=8)
    for index, (turn, priority) in enumerate(((1, 0), (0, 0), (0, 0), (9, 1))):
        engine.submit_pooling(PoolingJob(index, Mode.EMBED, (5,) * 8, turn=turn, priority=priority))

    assert [3, 1, 2, 0] == [output.id for output in run(engine)]


def test_a_batch_that_fails_fails_its_texts(
    load: Callable[..., Engine], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of other batches are computed."""
    write_tiny(path)
    engine: Any = load(path, batch_size=8)
    for index in range(2):
        engine.submit_pooling(PoolingJob(index, Mode.EMBED, (5,) * 8))
    with monkeypatch.context() as patch:
        failure = UnavailableError("Out of memory.")

        def fail(texts: object) -> None:
            raise failure

        patch.setattr(engine._context, "compute", fail)
        failed = list(engine.step())

    assert [(0, failure)] == [(output.id, output.error) for output in failed]
    assert [None] == [output.error for output in run(engine)]


def test_llama_cpp_says_why_a_batch_fails(load: Callable[..., Engine], path: Path) -> None:
    """The error has its words."""
    write_tiny(path)
    engine: Any = load(path)

    with pytest.raises(UnavailableError, match=r"could not compute a batch \(code -1\): .*token"):
        engine._context.compute([(5, 9999)])


def test_what_is_no_number_is_not_passed_on(
    load: Callable[..., Engine], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken model's text fails, instead of a vector that JSON cannot carry."""
    write_tiny(path)
    engine: Any = load(path)
    engine.submit_pooling(PoolingJob(1, Mode.EMBED, (5,)))
    broken = np.array([1.0, np.nan], np.float32)
    monkeypatch.setattr(engine._context, "compute", lambda texts: [broken])

    (output,) = engine.step()

    assert isinstance(output.error, StokerError)


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ({"pooling": None}, {}, "names no pooling .* set the option pooling"),
        ({"pooling": RANK_POOLING, "classes": 3}, {}, "tells 3 classes apart"),
        ({"pooling": RANK_POOLING}, {}, "no classifier"),
        ({"pooling": 1}, {"pooling": "rank"}, "no classifier"),
        ({"pooling": 1}, {"pooling": "rank", "batch_size": 2, "context_length": 2}, "no classif"),
        ({}, {"context_length": 65}, "trained for 64"),
    ],
)
def test_what_cannot_be_used_is_not_loaded(
    load: Callable[..., Engine],
    path: Path,
    model: dict[str, Any],
    options: dict[str, Any],
    words: str,
) -> None:
    """The error says what to do."""
    write_tiny(path, **model)

    with pytest.raises(LoadError, match=words):
        load(path, **options)


@pytest.mark.model
def test_minilm_is_right(load: Callable[..., Engine], embedder_file: Path) -> None:
    """llama.cpp gives what the file's weights give in numpy, and what the original's give."""
    engine = load(embedder_file)
    tensors = read_tensors(embedder_file)
    texts = ["A man is eating food.", "A man is eating a piece of bread.", "The girl rides."]

    vectors = embed(engine, texts)

    for text, vector in zip(texts, vectors, strict=True):
        expected = mean_embedding(tensors, tokens_of(engine, text), heads=12)
        assert cosine(expected, vector) > 0.9999
    first = np.array(vectors[0]) / np.linalg.norm(vectors[0])
    assert FOOD == pytest.approx(first[: len(FOOD)], abs=5e-4)
    assert cosine(vectors[0], vectors[1]) > 0.7
    assert cosine(vectors[0], vectors[2]) < 0.3


@pytest.mark.model
def test_minilm_reads_words_as_its_tokenizer_does(
    load: Callable[..., Engine], embedder_file: Path
) -> None:
    """Lower case, no accents, in pieces of BERT's vocabulary; what is spelled stays text."""
    engine = load(embedder_file)

    assert (101, 7592, 2088, 1031, 19802, 1033, 102) == tokens_of(engine, "Hello wörld [SEP]")
    assert [101, 1037, 102, 1038, 102] == engine.encode_pair("a", "b")


@pytest.mark.model
def test_a_decoder_can_be_made_to_embed(load: Callable[..., Engine], model_file: Path) -> None:
    """A model that generates gives vectors with the option, and remembers nothing between steps."""
    engine = load(model_file, pooling="last", context_length=64, batch_size=64)

    alone = [embed(engine, [text])[0] for text in TEXTS]
    together = embed(engine, TEXTS)

    assert 576 == engine.info.embedding_length
    for one, other in zip(alone, together, strict=True):
        assert cosine(one, other) > 0.999
    assert cosine(alone[0], alone[1]) < 0.99
