"""The real `ollama` package against the real server and registry, with a model on each engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ollama
import pytest
from stoker_process import ACTING_MODEL, MODEL, Home, MakeHome, Registry, Server

FRANCE = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]
GREEDY = {"temperature": 0, "num_predict": 30}
EMBEDDER = "ai/minilm:latest"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module")
def client(served: Server) -> Iterator[ollama.Client]:
    with ollama.Client(host=served.url) as made:
        yield made


@pytest.fixture
def own(own_home: Home) -> Iterator[ollama.Client]:
    """A client of a server of its own, for tests that change what is there."""
    with own_home.serve() as running, ollama.Client(host=running.url) as made:
        yield made


def test_a_chat_is_answered(client: ollama.Client) -> None:
    """A greedy question gets the known answer, with counts and times."""
    answer = client.chat(MODEL, messages=FRANCE, options=GREEDY)

    assert "Paris" in (answer.message.content or "")
    assert (True, "stop", MODEL) == (answer.done, answer.done_reason, answer.model)
    assert (answer.prompt_eval_count or 0) > 10
    assert 3 < (answer.eval_count or 0) <= 30
    assert answer.total_duration is not None
    assert answer.eval_duration is not None
    assert answer.total_duration >= answer.eval_duration > 0


def test_a_chat_is_streamed(client: ollama.Client) -> None:
    """The joined pieces are the answer that comes whole; the last one alone is done."""
    whole = client.chat(MODEL, messages=FRANCE, options=GREEDY)

    pieces = list(client.chat(MODEL, messages=FRANCE, options=GREEDY, stream=True))

    assert whole.message.content == "".join(piece.message.content or "" for piece in pieces)
    assert [False] * (len(pieces) - 1) + [True] == [piece.done for piece in pieces]
    assert whole.eval_count == pieces[-1].eval_count
    # Not all at once; how many there are is a matter of time.
    assert len(pieces) > 2


def test_a_text_is_continued_as_it_is(client: ollama.Client) -> None:
    """`raw` leaves the chat template out, and the limit shows as the reason."""
    answer = client.generate(
        MODEL, "The capital of France is", raw=True, options={"temperature": 0, "num_predict": 3}
    )

    assert "Paris" in (answer.response or "")
    assert "length" == answer.done_reason
    assert 3 == answer.eval_count


def test_generate_takes_a_system_message(client: ollama.Client) -> None:
    """The prompt is a user's message after the system's."""
    with_system = client.generate(
        MODEL, FRANCE[0]["content"], system="You are a pirate.", options=GREEDY
    )
    without = client.generate(MODEL, FRANCE[0]["content"], options=GREEDY)

    assert "Paris" in (without.response or "")
    assert (with_system.prompt_eval_count or 0) != (without.prompt_eval_count or 0)


def test_an_answer_follows_a_schema(client: ollama.Client) -> None:
    """`format` prescribes the form of the answer."""
    schema = {
        "type": "object",
        "properties": {"capital": {"type": "string", "maxLength": 10}},
        "required": ["capital"],
        "additionalProperties": False,
    }

    answer = client.chat(
        MODEL, messages=FRANCE, format=schema, options={"temperature": 0, "num_predict": 60}
    )

    assert (answer.message.content or "").startswith('{"capital"')


def test_log_probabilities_come_with_the_tokens(client: ollama.Client) -> None:
    """Each token has its own and those of its rivals."""
    answer = client.chat(
        MODEL, messages=FRANCE, logprobs=True, top_logprobs=2, options={"num_predict": 4}
    )

    assert answer.logprobs is not None
    assert 4 == len(answer.logprobs)
    assert all(token.logprob <= 0 for token in answer.logprobs)
    assert all(2 == len(token.top_logprobs or ()) for token in answer.logprobs)


@pytest.mark.model
def test_models_are_listed_and_described(server: Server, model_file: Path) -> None:
    """List and show tell what the files say."""
    with ollama.Client(host=server.url) as client:
        listed = client.list().models
        shown = client.show(MODEL)

    assert [MODEL] == [model.model for model in listed]
    assert int(listed[0].size or 0) > model_file.stat().st_size
    assert shown.details is not None
    assert "llama" == shown.details.family
    assert "Q4_1" == shown.details.quantization_level
    assert "completion" in (shown.capabilities or [])
    assert shown.modelinfo is not None
    assert "llama" == shown.modelinfo["general.architecture"]
    assert "messages" in (shown.template or "")


def test_an_unknown_model_is_not_found(client: ollama.Client) -> None:
    """The SDK raises its error with the status and our sentence, with and without a stream."""
    for stream in (False, True):
        with pytest.raises(ollama.ResponseError) as caught:
            list(client.chat("ai/none", messages=FRANCE, stream=stream))
        assert 404 == caught.value.status_code
        assert "stoker pull" in caught.value.error


def test_bad_fields_are_named(client: ollama.Client) -> None:
    """Options that do nothing here are refused, and so are values out of range."""
    for options, name in (
        ({"mirostat": 1}, "options.mirostat"),
        ({"temperature": -1}, "options.temperature"),
        ({"repeat_penalty": 0}, "options.repeat_penalty"),
        ({"tempreature": 1}, "options.tempreature"),
    ):
        with pytest.raises(ollama.ResponseError) as caught:
            client.chat(MODEL, messages=FRANCE, options=options)
        assert 400 == caught.value.status_code
        assert caught.value.error.startswith(name)


@pytest.mark.model
def test_a_model_is_loaded_and_unloaded_by_asking_nothing(own: ollama.Client) -> None:
    """An empty prompt loads, and with keep_alive 0 unloads; `ps` tells."""
    assert [] == own.ps().models

    loaded = own.generate(MODEL, keep_alive=-1)
    running = own.ps().models
    unloaded = own.generate(MODEL, keep_alive=0)

    assert "load" == loaded.done_reason
    assert [MODEL] == [model.model for model in running]
    assert running[0].expires_at is not None
    assert 9999 == running[0].expires_at.year
    assert (running[0].context_length or 0) > 0
    assert "unload" == unloaded.done_reason
    assert [] == own.ps().models


@pytest.mark.model
def test_a_model_is_copied_and_deleted(own: ollama.Client) -> None:
    """A copy is a name of the same model; deleting one leaves the other."""
    own.copy(MODEL, "team/mine")
    both = {model.model: model.digest for model in own.list().models}
    own.delete(MODEL)

    assert {MODEL, "team/mine:latest"} == set(both)
    assert 1 == len(set(both.values()))
    assert ["team/mine:latest"] == [model.model for model in own.list().models]
    with pytest.raises(ollama.ResponseError) as caught:
        own.delete(MODEL)
    assert 404 == caught.value.status_code


@pytest.mark.model
def test_a_model_is_made_of_a_blob(make_home: MakeHome, model_file: Path) -> None:
    """A GGUF file is sent and becomes a model, which answers; the same file twice is one blob."""
    home = make_home()
    with home.serve() as running, ollama.Client(host=running.url) as client:
        digest = client.create_blob(model_file)
        assert digest == client.create_blob(model_file)
        statuses = [
            item.status
            for item in client.create(
                "made/here", files={"smollm2.gguf": digest}, license="MIT License", stream=True
            )
        ]
        whole = client.create("made/again", files={"smollm2.gguf": digest})
        answer = client.chat("made/here", messages=FRANCE, options=GREEDY)
        shown = client.show("made/here")

    assert "success" == statuses[-1] == whole.status
    assert "Paris" in (answer.message.content or "")
    assert "MIT License" == shown.license
    assert [] == list((home.path / "stores" / "oci" / "inbox").glob("*/*"))


@pytest.mark.model
@pytest.mark.registry
def test_a_model_is_pushed_and_pulled_with_progress(
    registry: Registry, own: ollama.Client, make_home: MakeHome, model_file: Path
) -> None:
    """What one server pushed another one pulls, each telling of every blob by its digest."""
    name = f"{registry.host}/ollama/smollm2:135m"
    own.copy(MODEL, name)
    pushed = list(own.push(name, stream=True))
    home = make_home()

    with home.serve() as running, ollama.Client(host=running.url) as client:
        pulled = list(client.pull(name, stream=True))
        again = client.pull(name)
        answer = client.chat(name, messages=FRANCE, options=GREEDY)
        with pytest.raises(ollama.ResponseError) as caught:
            list(client.pull(f"{registry.host}/ollama/none", stream=True))

    statuses = [item.status or "" for item in pulled]
    assert "pulling manifest" == statuses[0]
    assert ["verifying sha256 digest", "writing manifest", "success"] == statuses[-3:]
    blobs = {item.digest: item for item in pulled if item.digest}
    assert any(item.total == item.completed for item in blobs.values())
    assert model_file.stat().st_size in {item.total for item in blobs.values()}
    assert all(
        f"{item.digest.removeprefix('sha256:')[:12]}" in (item.status or "")
        for item in pulled
        if item.digest
    )
    assert "success" == pushed[-1].status == again.status
    assert "Paris" in (answer.message.content or "")
    assert 404 == caught.value.status_code


@pytest.mark.model
def test_texts_are_embedded(make_home: MakeHome, embedder_file: Path) -> None:
    """Both routes make vectors; the newer one scales them to the length 1."""
    home = make_home()
    home.ok("package", EMBEDDER, "--weights", str(embedder_file))
    with home.serve() as running, ollama.Client(host=running.url) as client:
        many = client.embed(EMBEDDER, ["A cat sleeps.", "A dog barks."])
        old = client.embeddings(EMBEDDER, "A cat sleeps.")
        capabilities = client.show(EMBEDDER).capabilities

    assert [384, 384] == [len(vector) for vector in many.embeddings]
    assert 1 == pytest.approx(sum(number**2 for number in many.embeddings[0]), abs=1e-3)
    assert (many.prompt_eval_count or 0) > 6
    assert 384 == len(old.embedding)
    length = sum(number**2 for number in old.embedding) ** 0.5
    assert list(many.embeddings[0]) == pytest.approx(
        [number / length for number in old.embedding], abs=1e-3
    )
    assert ["embedding"] == capabilities


WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
}


@pytest.fixture(scope="module")
def actor(stage: Server) -> Iterator[ollama.Client]:
    """A client of the scripted model."""
    with ollama.Client(host=stage.url) as made:
        yield made


@pytest.mark.parametrize("stream", [False, True])
def test_a_round_trip_of_tools(actor: ollama.Client, *, stream: bool) -> None:
    """A call comes whole with its arguments as an object; its result brings the answer."""
    messages: list[Any] = [{"role": "user", "content": "Use get_weather, please."}]
    first = actor.chat(ACTING_MODEL, messages=messages, tools=[WEATHER], stream=stream)
    pieces = list(first) if stream else [first]
    calling = [piece.message for piece in pieces if piece.message.tool_calls]
    messages += [*calling, {"role": "tool", "tool_name": "get_weather", "content": "Rain."}]

    answer = actor.chat(ACTING_MODEL, messages=messages, tools=[WEATHER])

    ((call,),) = [message.tool_calls or () for message in calling]
    assert "get_weather" == call.function.name
    assert {"city": "something", "days": 1} == call.function.arguments
    assert "stop" == pieces[-1].done_reason
    assert "The tool said: Rain." == answer.message.content


def test_thinking_comes_apart(actor: ollama.Client) -> None:
    """Thinking has a field of its own, and comes when it is asked for."""
    say = [{"role": "user", "content": "Hi"}]

    thought = actor.chat(ACTING_MODEL, messages=say, think=True)
    silent = actor.chat(ACTING_MODEL, messages=say, think=False)
    streamed = list(actor.chat(ACTING_MODEL, messages=say, think="low", stream=True))

    assert ("Let me think.", "(1) You said: Hi") == (
        thought.message.thinking,
        thought.message.content,
    )
    assert silent.message.thinking is None
    assert "Let me think." == "".join(piece.message.thinking or "" for piece in streamed)


def test_images_reach_models_that_see(actor: ollama.Client, client: ollama.Client) -> None:
    """Others refuse them by name."""
    picture = [{"role": "user", "content": "Look", "images": [PNG]}]

    seen = actor.chat(ACTING_MODEL, messages=picture)
    with pytest.raises(ollama.ResponseError) as caught:
        client.chat(MODEL, messages=picture)

    assert "I see a picture." == seen.message.content
    assert 400 == caught.value.status_code
