"""Decoding of text completions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stoker.errors import InvalidRequestError
from stoker.request import GenerateRequest, TextPrompt, TokenPrompt
from stoker.sampling import SamplingParams
from stoker_litestar.dialects.openai.completions import decode_completion


def decode(**fields: Any) -> GenerateRequest:
    return decode_completion(json.dumps({"model": "m", "prompt": "Hi"} | fields).encode()).request


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Hi", TextPrompt("Hi")),
        ("", TextPrompt("")),
        (["Hi"], TextPrompt("Hi")),
        ([1, 2, 3], TokenPrompt((1, 2, 3))),
        ([[1, 2]], TokenPrompt((1, 2))),
    ],
)
def test_all_forms_of_a_prompt(prompt: Any, expected: TextPrompt | TokenPrompt) -> None:
    """One prompt is taken in every form that the API knows."""
    assert GenerateRequest("m", expected) == decode(prompt=prompt)


@pytest.mark.parametrize(
    ("fields", "kind", "param"),
    [
        ({"prompt": []}, InvalidRequestError, "prompt"),
        ({"prompt": [[]]}, InvalidRequestError, "prompt[0]"),
        ({"prompt": [[1], []]}, InvalidRequestError, "prompt[1]"),
        ({"prompt": None}, InvalidRequestError, "prompt"),
        ({"prompt": ["a", 1]}, InvalidRequestError, "prompt"),
        ({"prompt": [1], "suffix": "x"}, InvalidRequestError, "suffix"),
        ({"suffix": 1}, InvalidRequestError, "suffix"),
        ({"prompt": [-1]}, InvalidRequestError, "prompt[0]"),
        ({"prompt": [True]}, InvalidRequestError, "prompt[0]"),
        ({"echo": True, "max_tokens": -1}, InvalidRequestError, "max_tokens"),
        ({"logprobs": 21}, InvalidRequestError, "logprobs"),
        ({"logprobs": True}, InvalidRequestError, "logprobs"),
        ({"max_tokens": 0}, InvalidRequestError, "max_tokens"),
        ({"messages": []}, InvalidRequestError, "messages"),
    ],
)
def test_wrong_values_are_named(
    fields: dict[str, Any], kind: type[InvalidRequestError], param: str
) -> None:
    """The error carries the field."""
    with pytest.raises(InvalidRequestError) as caught:
        decode(**fields)

    assert (kind, param) == (type(caught.value), caught.value.param)


def test_each_prompt_has_the_suffix() -> None:
    """The empty one is none."""
    request = decode(prompt=["a", "b"], suffix="c")

    assert (TextPrompt("a", "c"), (TextPrompt("b", "c"),)) == (request.prompt, request.more_prompts)
    assert TextPrompt("Hi") == decode(suffix="").prompt


def test_sampling() -> None:
    """The sampling fields arrive, and zero alternatives is not none."""
    request = decode(temperature=0, logprobs=0, stop=["a", "b"], n=2, max_tokens=5)

    assert SamplingParams(temperature=0, logprobs=0) == request.sampling
    assert (("a", "b"), 2, 5) == (request.stop, request.n, request.max_tokens)
