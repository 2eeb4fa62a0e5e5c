"""A model of safetensors on MLX, from the folder to the clients, with a tiny random model."""

from __future__ import annotations

import concurrent.futures
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import msgspec
import openai
import pytest
import tiny_mlx
from stoker_process import Home, Server

NAME = "ai/tiny"
RIVAL = """
import stoker
from stoker.backend import BackendSpec, always_available
from stoker.media_types import SAFETENSORS

def load(bundle, options, progress):
    raise NotImplementedError

@stoker.hookimpl
def stoker_register_backends():
    return [BackendSpec("rival", (SAFETENSORS,), load, always_available, priority=1)]
"""
PET = {
    "type": "object",
    "properties": {"kind": {"enum": ["cat", "dog"]}, "age": {"type": "integer", "maximum": 30}},
    "required": ["kind", "age"],
    "additionalProperties": False,
}
FORM: Any = {"type": "json_schema", "json_schema": {"name": "pet", "strict": True, "schema": PET}}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with the tiny model, and a second engine for safetensors beside MLX."""
    plugin = tmp_path_factory.mktemp("rival")
    info = plugin / "rival-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[stoker.v1]\nrival = rival_plugin\n")
    (plugin / "rival_plugin.py").write_text(RIVAL)
    home = Home(tmp_path_factory.mktemp("mlx-home"), {"PYTHONPATH": str(plugin)})
    folder = tiny_mlx.llama(tmp_path_factory.mktemp("models") / "tiny")
    home.ok("package", NAME, "--directory", str(folder))
    return home


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[Server]:
    with home.serve() as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def why(home: Home, *arguments: str) -> dict[str, Any]:
    """The decision."""
    found: dict[str, Any] = msgspec.json.decode(home.ok("why", NAME, "--json", *arguments))
    return found


def configure(home: Home, text: str) -> Home:
    """The same home with a config."""
    path = home.path / "chosen.toml"
    path.write_text(text)
    return Home(home.path, {**home.environ, "STOKER_CONFIG": str(path)})


def test_both_bids_and_the_rule_are_shown(home: Home) -> None:
    """Two engines run the weights: the one with the higher priority is taken, and it is said."""
    decision = why(home)

    assert ["mlx", "rival"] == [bid["backend"] for bid in decision["bids"]]
    assert "mlx" == decision["backend"]
    assert "the highest priority among the available backends" == decision["rule"]
    assert "Chosen: mlx (the highest priority among" in home.ok("why", NAME)
    assert decision["memory"]["devices"][0]["weights_bytes"] > 0


def test_the_config_turns_it_round(home: Home) -> None:
    """A list in the config puts the other one first, and a pin goes before the list."""
    chosen = configure(
        home, '[selection]\n"application/vnd.docker.ai.safetensors" = ["rival", "mlx"]\n'
    )

    assert "rival" == why(chosen)["backend"]
    assert "mlx" == why(chosen, "--backend", "mlx")["backend"]


def test_a_pinned_backend_that_is_missing_is_an_error(home: Home) -> None:
    """No other engine takes its place: not for the command, and not for the server."""
    pinned = configure(home, f'[models."{NAME}"]\nbackend = "absent"\n')

    for arguments in (("why", NAME), ("run", NAME, "Hello")):
        assert "pinned to backend 'absent', which is not installed" in pinned.refused(*arguments)
    assert "which does not run" in home.refused("run", NAME, "Hello", "--backend", "llama.cpp")


def test_the_command_answers(home: Home) -> None:
    """`stoker run` loads the model in its own process and repeats itself with a seed."""
    answers = {
        home.ok("run", NAME, "the quick", "--max-tokens", "8", "--seed", "3") for _ in range(2)
    }

    assert 1 == len(answers)


def test_a_chat_is_answered(client: openai.OpenAI) -> None:
    """The model's own template is used; usage is exact, streamed and not."""
    fields: Any = {
        "model": NAME,
        "messages": [{"role": "user", "content": "fox"}],
        "max_tokens": 7,
        "temperature": 0,
        "extra_body": {"ignore_eos": True},
    }
    whole = client.chat.completions.create(**fields)
    chunks = list(
        client.chat.completions.create(
            **fields, stream=True, stream_options={"include_usage": True}
        )
    )
    pieces = [c.choices[0].delta.content or "" for c in chunks if c.choices]

    assert "length" == whole.choices[0].finish_reason
    assert 7 == whole.usage.completion_tokens
    assert whole.choices[0].message.content == "".join(pieces)
    assert chunks[-1].usage is not None
    assert whole.usage.prompt_tokens == chunks[-1].usage.prompt_tokens
    details = chunks[-1].usage.prompt_tokens_details
    assert details is not None
    assert whole.usage.prompt_tokens - 1 == details.cached_tokens


def test_choices_seeds_and_logprobs(client: openai.OpenAI) -> None:
    """Several choices of one seed are the same each time, and tokens have probabilities."""

    def ask() -> Any:
        return client.completions.create(
            model=NAME, prompt="the lazy dog", max_tokens=6, temperature=1, seed=4, n=3, logprobs=2
        )

    one, two = ask(), ask()

    assert [choice.text for choice in one.choices] == [choice.text for choice in two.choices]
    assert 3 == len(one.choices)
    assert all(value <= 0 for value in one.choices[0].logprobs.token_logprobs)
    assert 2 <= len(one.choices[0].logprobs.top_logprobs[0]) <= 3


def test_forms_hold_for_many_at_once(client: openai.OpenAI) -> None:
    """Answers with a schema are valid, each and all, hot and beside others."""

    def ask(seed: int) -> Any:
        return client.chat.completions.create(
            model=NAME,
            messages=[{"role": "user", "content": f"pet {seed}"}],
            response_format=FORM,
            temperature=1.5,
            seed=seed,
            max_tokens=200,
        )

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(16)))

    for answer in answers:
        assert "stop" == answer.choices[0].finish_reason
        jsonschema.validate(json.loads(answer.choices[0].message.content), PET)


def test_stop_strings_and_bias(client: openai.OpenAI) -> None:
    """A stop string ends an answer and is not part of it."""
    fields: Any = {"model": NAME, "prompt": "fox", "max_tokens": 40, "temperature": 0}
    whole = client.completions.create(**fields, extra_body={"ignore_eos": True}).choices[0].text
    stop = whole[5:7]
    cut = client.completions.create(**fields, stop=stop, extra_body={"ignore_eos": True})

    assert "stop" == cut.choices[0].finish_reason
    assert whole[: whole.index(stop)] == cut.choices[0].text


def test_a_tool_is_called(client: openai.OpenAI) -> None:
    """A call that is required comes, with arguments of the tool's form."""
    tool: Any = {"type": "function", "function": {"name": "feed", "parameters": PET}}
    answer = client.chat.completions.create(
        model=NAME,
        messages=[{"role": "user", "content": "Feed a pet."}],
        tools=[tool],
        tool_choice="required",
        max_tokens=400,
        temperature=0,
    )
    (call, *_) = answer.choices[0].message.tool_calls or ()

    assert "feed" == call.function.name  # type: ignore[union-attr]
    jsonschema.validate(json.loads(call.function.arguments), PET)  # type: ignore[union-attr]


def test_who_leaves_stops_the_work(server: Server, client: openai.OpenAI) -> None:
    """A client that goes while its prompt is read frees the engine for others."""
    body = {"model": NAME, "prompt": "the lazy dog " * 400, "max_tokens": 1000, "stream": True}

    def leave() -> None:
        with httpx.stream("POST", f"{server.url}/v1/completions", json=body, timeout=30) as answer:
            next(answer.iter_bytes())

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join(timeout=60)
    assert not thread.is_alive()
    started = time.monotonic()
    client.completions.create(model=NAME, prompt="fox", max_tokens=2)

    assert time.monotonic() - started < 30


def test_what_it_cannot_do_is_a_bad_request(client: openai.OpenAI) -> None:
    """A prompt beyond the context is refused, and so are embeddings of a model that talks."""
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model=NAME, prompt="the lazy dog " * 5000, max_tokens=1)
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model=NAME, input="fox")


def test_the_bundle_is_what_mlx_expects(home: Home) -> None:
    """What the store lays out is the folder that was packaged: mlx-lm itself can load it."""
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from stoker.application import Application\n"
        f"stores = Application.create().stores; artifact = stores.resolve({NAME!r})\n"
        "bundle = stores.of(artifact.reference).open(artifact)\n"
        "folder = bundle.weights[0].parent\n"
        "from mlx_lm.utils import load_model\n"
        "model, config = load_model(Path(folder))\n"
        "print(sorted(p.name for p in folder.iterdir()), config['model_type'])"
    )
    done = home.python_ok("-c", program)

    names = "['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json']"
    assert f"{names} llama\n" == done.stdout
