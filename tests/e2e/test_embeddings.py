"""Embeddings by the real `openai` package, ranking and scores over HTTP, with real runners."""

from __future__ import annotations

import json
import math
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import tiny_mlx
from bert import RANK_POOLING, WIDTH, logits, write_tiny
from stoker_process import MODEL, Home, Server

pytestmark = pytest.mark.model

EMBEDDER = "ai/minilm"
MLX_EMBEDDER = "ai/tiny-mlx"
GENERATOR_AS_EMBEDDER = "ai/smollm2-embed"
MATRYOSHKA = "ai/matryoshka"
RERANKER = "ai/reranker"
TEXTS = ["A man is eating food.", "A man is eating a piece of bread.", "The girl rides a horse."]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, model_file: Path, embedder_file: Path) -> Home:
    """A home with a model of each kind."""
    home = Home(tmp_path_factory.mktemp("pooling-home"))
    folder = tmp_path_factory.mktemp("tiny")
    reranker, matryoshka = folder / "reranker.gguf", folder / "matryoshka.gguf"
    write_tiny(reranker, pooling=RANK_POOLING, classes=1)
    write_tiny(matryoshka)
    home.ok("package", MLX_EMBEDDER, "--directory", str(tiny_mlx.llama(folder / "mlx")))
    for name, path in (
        (MODEL, model_file),
        (EMBEDDER, embedder_file),
        (MATRYOSHKA, matryoshka),
        (GENERATOR_AS_EMBEDDER, model_file),
        (RERANKER, reranker),
    ):
        home.ok("package", name, "--weights", str(path))
    (home.path / "stoker.toml").write_text(
        f'[models."{MATRYOSHKA}".options]\nmatryoshka = true\n'
        f'[models."{MLX_EMBEDDER}".options]\n'
        'pooling = "mean"\nmatryoshka = true\ncontext_length = 512\n'
        f'[models."{GENERATOR_AS_EMBEDDER}".options]\npooling = "mean"\ncontext_length = 512\n'
    )
    return home


@pytest.fixture(scope="module")
def served(home: Home) -> Iterator[Server]:
    """A server for all of them."""
    with home.serve() as running:
        yield running


@pytest.fixture(scope="module")
def client(served: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture(params=[EMBEDDER, MLX_EMBEDDER])
def embedder(request: pytest.FixtureRequest) -> str:
    """A model that makes embeddings, on each engine in turn."""
    name: str = request.param
    return name


def rerank(server: Server, path: str = "/v1/rerank", **fields: Any) -> tuple[int, Any]:
    """The status and the body of an answer to a rerank request."""
    return ask(server, path, {"query": "what", "documents": ["a b", "zz"]} | fields)


def ask(server: Server, path: str, fields: dict[str, Any]) -> tuple[int, Any]:
    """The status and the body of an answer; asks the reranker unless the fields say otherwise."""
    body = {"model": RERANKER} | fields
    request = urllib.request.Request(f"{server.url}{path}", json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_texts_are_embedded(client: openai.OpenAI, encoding: Any) -> None:
    """Vectors have the length 1, like texts are near each other, and usage counts the tokens."""
    answer = client.embeddings.create(model=EMBEDDER, input=TEXTS, encoding_format=encoding)

    assert EMBEDDER == answer.model
    assert [0, 1, 2] == [item.index for item in answer.data]
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 3 * len(TEXTS)
    if encoding == "float":
        one, near, far = (item.embedding for item in answer.data)
        assert 384 == len(one)
        assert math.hypot(*one) == pytest.approx(1, abs=1e-5)
        products = [sum(a * b for a, b in zip(one, other, strict=True)) for other in (near, far)]
        assert products[0] > 0.7
        assert products[1] < 0.3


def test_all_forms_of_an_input_mean_the_same(
    served: Server, client: openai.OpenAI, embedder: str
) -> None:
    """A text, a list of it, its tokens, and a list of those; and what the client asks by itself."""
    status, answer = ask(
        served, "/tokenize", {"model": embedder, "prompt": "a man", "add_special_tokens": True}
    )
    tokens = answer["tokens"]
    forms: list[Any] = ["a man", ["a man"], tokens, [tokens]]

    vectors = [
        client.embeddings.create(model=embedder, input=form).data[0].embedding for form in forms
    ]
    assert 200 == status

    for vector in vectors[1:]:
        assert vectors[0] == pytest.approx(vector, abs=1e-5)


def test_dimensions_shorten_a_vector(client: openai.OpenAI) -> None:
    """The first so many numbers come, scaled to the length 1 again, of a model made for it."""

    def embed(model: str, dimensions: int) -> list[float]:
        answer = client.embeddings.create(model=model, input="a man", dimensions=dimensions)
        return answer.data[0].embedding

    for model, width in ((MATRYOSHKA, WIDTH), (MLX_EMBEDDER, tiny_mlx.WIDTH)):
        whole, short = embed(model, width), embed(model, 8)
        length = math.hypot(*whole[:8])
        assert [number / length for number in whole[:8]] == pytest.approx(short, abs=1e-5)
    assert 384 == len(embed(EMBEDDER, 384))
    for model, dimensions, words in (
        (MATRYOSHKA, WIDTH + 1, f"embeddings have {WIDTH}"),
        (EMBEDDER, 8, "Matryoshka"),
    ):
        with pytest.raises(openai.BadRequestError, match=words) as caught:
            embed(model, dimensions)
        assert "dimensions" == caught.value.param


def test_empty_inputs_are_refused(client: openai.OpenAI, embedder: str) -> None:
    """As OpenAI does: neither an empty text nor no text has an embedding."""
    empty: list[Any] = ["", ["a", ""], [], [[]]]
    for input_ in empty:
        with pytest.raises(openai.BadRequestError) as caught:
            client.embeddings.create(model=embedder, input=input_)
        assert str(caught.value.param).startswith("input")


def test_a_text_beyond_the_context_is_refused(client: openai.OpenAI, embedder: str) -> None:
    """The error names the input; nothing is cut off."""
    with pytest.raises(openai.BadRequestError, match="the model's context holds 512") as caught:
        client.embeddings.create(model=embedder, input=["short", "word " * 600])

    assert ("input[1]", "context_length_exceeded") == (caught.value.param, caught.value.code)


def test_a_large_request_is_answered(client: openai.OpenAI, embedder: str) -> None:
    """As many inputs as the API allows, each with its own vector."""
    texts = [f"number {index}" for index in range(2048)]

    answer = client.embeddings.create(model=embedder, input=texts)

    assert list(range(2048)) == [item.index for item in answer.data]
    alone = client.embeddings.create(model=embedder, input="number 1999").data[0].embedding
    assert answer.data[1999].embedding == pytest.approx(alone, abs=1e-2)


def test_who_leaves_stops_the_work(served: Server, client: openai.OpenAI) -> None:
    """After a client hung up in the middle of much work, another one need not wait for it."""
    texts = ["word " * 500] * 500
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=1).embeddings.create(model=EMBEDDER, input=texts)

    # All of it would take more than a minute.
    answer = client.with_options(timeout=20).embeddings.create(model=EMBEDDER, input="a man")

    assert 384 == len(answer.data[0].embedding)
    deadline = time.monotonic() + 20
    while any(
        runner["active_requests"]
        for runner in json.loads(served.home.ok("ps", "--json"))["runners"]
    ):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_documents_are_ranked(served: Server, tmp_path: Path) -> None:
    """The scores are those of the model, computed in numpy, best first."""
    status, answer = rerank(served, documents=["a b", {"text": "zz"}, "m"], return_documents=True)

    tensors = write_tiny(tmp_path / "again.gguf", pooling=RANK_POOLING, classes=1)
    cls, sep, letter = 2, 3, {chr(97 + i): 5 + i for i in range(26)}
    inner = {chr(97 + i): 31 + i for i in range(26)}
    query = [letter["w"], inner["h"], inner["a"], inner["t"]]
    pairs = [
        [cls, *query, sep, *document, sep]
        for document in ([letter["a"], letter["b"]], [letter["z"], inner["z"]], [letter["m"]])
    ]
    expected = [1 / (1 + math.exp(-float(logits(tensors, pair)[0]))) for pair in pairs]
    assert 200 == status
    scores = [item["relevance_score"] for item in answer["results"]]
    assert sorted(expected, reverse=True) == pytest.approx(scores, abs=1e-3)
    texts = ["a b", "zz", "m"]
    assert [texts[item["index"]] for item in answer["results"]] == [
        item["document"]["text"] for item in answer["results"]
    ]
    assert sum(map(len, pairs)) == answer["usage"]["total_tokens"]


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_clients_of_all_kinds_find_the_route(served: Server, path: str) -> None:
    """Jina's and Cohere's ask with a version, others without; `top_n` keeps the best."""
    status, answer = rerank(served, path, top_n=1)

    assert 200 == status
    assert [["index", "relevance_score"]] == [sorted(item) for item in answer["results"]]


@pytest.mark.parametrize("path", ["/score", "/v1/score"])
def test_pairs_are_scored(served: Server, path: str) -> None:
    """In their order, with the scores that ranking gives."""
    _, ranked = rerank(served)
    status, scored = ask(served, path, {"text_1": "what", "text_2": ["a b", "zz"]})

    assert 200 == status
    expected = {item["index"]: item["relevance_score"] for item in ranked["results"]}
    assert expected == {item["index"]: item["score"] for item in scored["data"]}
    assert [0, 1] == [item["index"] for item in scored["data"]]
    assert ranked["usage"] == scored["usage"]


def test_a_bad_rerank_request_is_named(served: Server) -> None:
    """Unknown and refused fields get a 400 with the field's name."""
    for fields, param in (
        ({"top_k": 1}, "top_k"),
        ({"max_tokens_per_doc": 5}, "max_tokens_per_doc"),
        ({"documents": []}, "documents"),
        ({"documents": ["a " * 100]}, "documents[0]"),
        ({"model": EMBEDDER}, "model"),
    ):
        status, answer = rerank(served, **fields)
        assert (400, param) == (status, answer["error"]["param"])


def test_models_do_what_they_are_for(client: openai.OpenAI) -> None:
    """A model that generates makes no embeddings, and one that makes them does not chat."""
    with pytest.raises(openai.BadRequestError, match=f"{MODEL} generates text"):
        client.embeddings.create(model=MODEL, input="a")
    with pytest.raises(openai.BadRequestError, match=f"{EMBEDDER} makes embeddings"):
        client.completions.create(model=EMBEDDER, prompt="a")
    with pytest.raises(openai.BadRequestError, match=f"{EMBEDDER} makes embeddings"):
        client.chat.completions.create(model=EMBEDDER, messages=[{"role": "user", "content": "a"}])


def test_a_running_answer_is_not_disturbed(client: openai.OpenAI) -> None:
    """Embeddings leave it as it is: another model's, those of the same file, and refused ones."""
    request: dict[str, Any] = {
        "model": MODEL,
        "prompt": "The capital of France is",
        "max_tokens": 48,
        "temperature": 0,
    }
    # The first one reads the prompt, which the others find in the cache.
    _, alone = (client.completions.create(**request).choices[0].text for _ in range(2))

    pieces = []
    for chunk in client.completions.create(**request, stream=True):
        pieces += [choice.text for choice in chunk.choices]
        if len(pieces) % 8 == 1:
            for embedder in (EMBEDDER, GENERATOR_AS_EMBEDDER):
                assert 3 == len(client.embeddings.create(model=embedder, input=TEXTS).data)
            with pytest.raises(openai.BadRequestError):
                client.embeddings.create(model=MODEL, input="a")

    assert alone == "".join(pieces)
