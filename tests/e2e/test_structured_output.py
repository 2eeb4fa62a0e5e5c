"""Structured output: the real `openai` package, the real server, a model on each engine."""

from __future__ import annotations

import concurrent.futures
import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import openai
import pydantic
import pytest
from stoker_process import MODEL, Server

STRING = {"type": "string", "maxLength": 30}
PET = {
    "type": "object",
    "properties": {
        "name": STRING,
        "kind": {"enum": ["cat", "dog", "fish"]},
        "age": {"type": "integer", "minimum": 0, "maximum": 30},
        "owner": {
            "type": "object",
            "properties": {"name": STRING, "zip": {"type": "string", "pattern": "^[0-9]{5}$"}},
            "required": ["name", "zip"],
            "additionalProperties": False,
        },
    },
    "required": ["name", "kind", "age", "owner"],
    "additionalProperties": False,
}
NUMBERS = {
    "type": "array",
    # Without a step, a hot model writes digits without end.
    "items": {"type": "number", "minimum": -5, "maximum": 5, "multipleOf": 0.25},
    "minItems": 2,
    "maxItems": 4,
}
OPTIONAL = {
    "type": "object",
    "properties": {
        "flag": {"type": "boolean"},
        "note": {"anyOf": [{"type": "null"}, {"const": "ok"}]},
        "when": {"type": "string", "format": "date"},
    },
    "required": ["flag", "when"],
    "additionalProperties": False,
}
TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer", "minimum": 0, "maximum": 9},
                "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]},
            },
            "required": ["value", "next"],
            "additionalProperties": False,
        }
    },
    "type": "object",
    "properties": {"root": {"$ref": "#/$defs/node"}},
    "required": ["root"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def client(served: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def ask(client: openai.OpenAI, text: str, **fields: Any) -> Any:
    """A chat with one message, greedy unless the fields say otherwise."""
    fields = {"temperature": 0, "max_tokens": 200, **fields}
    return client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": text}], **fields
    )


def schema_format(schema: Any) -> dict[str, Any]:
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": schema},
    }


@pytest.mark.parametrize("schema", [PET, NUMBERS, OPTIONAL])
@pytest.mark.parametrize("temperature", [0, 1.2])
def test_answers_follow_their_schema(
    client: openai.OpenAI, schema: dict[str, Any], temperature: float
) -> None:
    """The answer is JSON of the schema's form, also from a hot and small model."""
    answer = ask(
        client,
        "Describe something as JSON.",
        response_format=schema_format(schema),
        temperature=temperature,
        seed=5,
    )

    assert "stop" == answer.choices[0].finish_reason
    jsonschema.validate(json.loads(answer.choices[0].message.content), schema)


def test_recursive_schemas(client: openai.OpenAI) -> None:
    """An answer that is cut off is a beginning of what was asked for, and says so."""
    answer = ask(
        client,
        "Write a linked list of two nodes.",
        response_format=schema_format(TREE),
        max_tokens=60,
    )

    content = answer.choices[0].message.content
    assert content.startswith('{"root":{"value":')
    if answer.choices[0].finish_reason == "stop":
        jsonschema.validate(json.loads(content), TREE)
    else:
        assert "length" == answer.choices[0].finish_reason


def test_json_object(client: openai.OpenAI) -> None:
    """Some JSON object."""
    answer = ask(
        client,
        'Say {"answer": "Paris"} as JSON.',
        response_format={"type": "json_object"},
        max_tokens=300,
    )

    assert answer.choices[0].message.content.startswith("{")
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(answer.choices[0].message.content), dict)


def test_pydantic_models_are_parsed(client: openai.OpenAI) -> None:
    """The SDK's own way to ask for a type gives an instance of it."""

    class City(pydantic.BaseModel):
        name: str = pydantic.Field(max_length=20)
        country: str = pydantic.Field(max_length=20)
        capital: bool

    answer = client.chat.completions.parse(
        model=MODEL,
        messages=[{"role": "user", "content": "Tell me about Paris."}],
        response_format=City,
        temperature=0,
        max_tokens=100,
    )

    assert isinstance(answer.choices[0].message.parsed, City)


@pytest.mark.parametrize(
    ("extra", "answers"),
    [
        ({"structured_outputs": {"choice": ["Paris", "Rome"]}}, {"Paris"}),
        ({"structured_outputs": {"regex": "(Paris|Rome)!"}}, {"Paris!"}),
        ({"structured_outputs": {"json": {"enum": ["Paris", "Rome"]}}}, {'"Paris"'}),
        (
            {"structured_outputs": {"grammar": 'start: "It is " ("Paris" | "Rome")'}},
            {"It is Paris"},
        ),
        ({"grammar": 'root ::= "Paris" | "Rome"'}, {"Paris"}),
        ({"grammar": 'start: "Paris" | "Rome"'}, {"Paris"}),
    ],
)
def test_extensions(client: openai.OpenAI, extra: dict[str, Any], answers: set[str]) -> None:
    """The other languages of constraints work the same."""
    answer = ask(client, "What is the capital of France?", extra_body=extra)

    assert answer.choices[0].message.content in answers
    assert "stop" == answer.choices[0].finish_reason


def test_completions_are_constrained(client: openai.OpenAI) -> None:
    """The older route takes the extensions."""
    answer = client.completions.create(
        model=MODEL,
        prompt="Roses are red, violets are",
        temperature=0,
        extra_body={"structured_outputs": {"choice": [" blue", " green"]}},
    )

    assert answer.choices[0].text in {" blue", " green"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        (
            {"response_format": schema_format({"type": "array", "uniqueItems": True})},
            "response_format",
            "uniqueItems",
        ),
        *(
            ({"response_format": schema_format(schema)}, "response_format", words)
            for schema, words in (
                ({"type": "array", "contains": {"const": 1}}, "contains"),
                ({"properties": {"a": {"if": {}, "then": {}}}}, "then"),
                ({"type": "strin"}, "strin"),
                (
                    {"properties": {f"k{i}": {"type": "string"} for i in range(2500)}},
                    "too big",
                ),
            )
        ),
        (
            {"extra_body": {"structured_outputs": {"regex": "(a"}}},
            "structured_outputs.regex",
            "unclosed group",
        ),
        ({"extra_body": {"grammar": "root ::= nowhere"}}, "grammar", "nowhere"),
        ({"extra_body": {"grammar": "start: nowhere"}}, "grammar", "nowhere"),
        (
            {"extra_body": {"grammar": 'root ::= "a"', "ignore_eos": True}},
            "grammar",
            "cannot be ignored",
        ),
    ],
)
def test_what_cannot_be_honoured_is_a_bad_request(
    client: openai.OpenAI, stream: bool, fields: dict[str, Any], param: str, words: str
) -> None:
    """The field and the culprit are named, for streams as well."""
    with pytest.raises(openai.BadRequestError, match=words) as caught:
        ask(client, "Hi", stream=stream, **fields)

    assert param == caught.value.param


def test_a_stream_follows_its_schema_too(client: openai.OpenAI) -> None:
    """The joined deltas are an answer of the form, and it ends as a whole one does."""
    fields: dict[str, Any] = {"response_format": schema_format(PET)}

    chunks = list(ask(client, "Describe a pet.", stream=True, **fields))

    joined = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    jsonschema.validate(json.loads(joined), PET)
    assert "stop" == chunks[-1].choices[0].finish_reason


def test_many_streams_side_by_side(client: openai.OpenAI) -> None:
    """Eight hot streams with different schemas, each with two choices, are all right."""
    schemas = [PET, NUMBERS, OPTIONAL, {"enum": ["a", "b"]}] * 2

    def stream(number: int) -> list[str]:
        texts = ["", ""]
        for chunk in ask(
            client,
            f"Describe thing number {number}.",
            response_format=schema_format(schemas[number]),
            temperature=1.0,
            seed=number,
            n=2,
            stream=True,
        ):
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
        return texts

    with concurrent.futures.ThreadPoolExecutor(len(schemas)) as pool:
        answers = list(pool.map(stream, range(len(schemas)), timeout=100))

    for schema, texts in zip(schemas, answers, strict=True):
        for text in texts:
            jsonschema.validate(json.loads(text), schema)
