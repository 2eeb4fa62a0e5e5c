"""Gaps that are filled in, with the real packages of two APIs and a tiny model that knows how."""

from __future__ import annotations

from collections.abc import Iterator

import ollama
import openai
import pytest
import tiny_models
from stoker_process import MODEL, Home, Server

NAME = "test/filler:latest"


@pytest.fixture(scope="module")
def filler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a model whose file names the tokens for gaps."""
    folder = tmp_path_factory.mktemp("filler")
    tiny_models.mamba(folder / "tiny.gguf", infill=(3, 4, 5))
    home = Home(folder)
    home.ok("package", NAME, "--weights", str(folder / "tiny.gguf"))
    with home.serve() as running:
        yield running


def test_openai_fills_a_gap(filler: Server) -> None:
    """What stands behind it is read as well, with three tokens of the model's own."""
    with openai.OpenAI(base_url=f"{filler.url}/v1", api_key="none", max_retries=0) as client:
        plain, filled = (
            client.completions.create(model=NAME, prompt="ab", suffix=suffix, max_tokens=3)
            for suffix in (None, "cd")
        )

    assert plain.usage is not None
    assert filled.usage is not None
    assert plain.usage.prompt_tokens + 3 + len("cd") == filled.usage.prompt_tokens


def test_ollama_fills_a_gap(filler: Server) -> None:
    """Clients see by the capabilities that they may ask for it."""
    with ollama.Client(host=filler.url) as client:
        assert "insert" in (client.show(NAME).capabilities or ())
        answer = client.generate(NAME, prompt="ab", suffix="cd", options={"num_predict": 3})

    assert "length" == answer.done_reason
    assert 3 == answer.eval_count


@pytest.mark.model
def test_a_model_that_cannot_says_so(server: Server) -> None:
    """Nothing is left out in silence."""
    with (
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client,
        pytest.raises(openai.BadRequestError) as caught,
    ):
        client.completions.create(model=MODEL, prompt="ab", suffix="cd", max_tokens=3)

    assert ("suffix", "unsupported_parameter") == (caught.value.param, caught.value.code)
    with ollama.Client(host=server.url) as other:
        assert "insert" not in (other.show(MODEL).capabilities or ())
