"""The tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_models
from bert import write_tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stoker.engine import InfillTokens
from stoker.errors import InvalidRequestError
from stoker_llama_cpp.model import load_model
from stoker_llama_cpp.options import LlamaCppOptions

pytestmark = pytest.mark.model

# The model's vocabulary lacks some control characters, and bytes that only unassigned ones have.
CHARACTERS = st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"])


@pytest.mark.parametrize(
    "text", ["Hello, world!", "  two  spaces\n\n\ttab", "Füße, 東京 and 🙂", "a\x00b", "<|im_end|>"]
)
def test_text_comes_back(shared_engine: Any, text: str) -> None:
    """A text's tokens stand for exactly its bytes, whatever is in it."""
    tokens = shared_engine.encode(text, add_special=False, parse_special=False)

    assert text.encode() == b"".join(map(shared_engine.token_bytes, tokens))


@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(CHARACTERS, max_size=60))
def test_any_text_comes_back(shared_engine: Any, text: str) -> None:
    """No character that has a meaning is lost or changed."""
    tokens = shared_engine.encode(text, add_special=False, parse_special=False)

    assert text.encode() == b"".join(map(shared_engine.token_bytes, tokens))


def test_known_tokens(shared_engine: Any) -> None:
    """Tokens are those of the model's training."""

    assert [504, 3575, 282, 4649] == shared_engine.encode(
        "The capital of France", add_special=False, parse_special=False
    )


def test_control_tokens_are_read_only_when_wanted(shared_engine: Any) -> None:
    """The text of a control token becomes that token, or stays what a user typed."""
    parsed = shared_engine.encode("<|im_end|>", add_special=False, parse_special=True)
    typed = shared_engine.encode("<|im_end|>", add_special=False, parse_special=False)

    assert 1 == len(parsed)
    assert b"" == shared_engine.token_bytes(parsed[0])
    assert len(typed) > 1


def test_half_a_character_is_refused(shared_engine: Any) -> None:
    """Half of a surrogate pair is no character and cannot be encoded."""

    with pytest.raises(InvalidRequestError, match="character 2"):
        shared_engine.encode("ab\ud83d", add_special=False, parse_special=False)


@pytest.mark.parametrize("token", [-1, 49152, 2**31])
def test_unknown_tokens(shared_engine: Any, token: int) -> None:
    """A token outside the vocabulary has no bytes."""

    with pytest.raises(IndexError):
        shared_engine.token_bytes(token)


def test_special_tokens_have_templates_names(shared_engine: Any) -> None:
    """Special tokens are known by the names that chat templates use."""
    special = shared_engine.info.special_tokens

    assert "<|im_start|>" == special["bos_token"]
    assert "<|im_end|>" == special["eos_token"]
    assert "<|endoftext|>" == special["unk_token"]


def test_the_whole_vocabulary(shared_engine: Any) -> None:
    """Read at once, every token has the bytes that it has alone, the longest ones too."""
    whole = shared_engine.vocabulary()
    size = shared_engine.info.vocabulary_size

    assert [shared_engine.token_bytes(token) for token in range(size)] == whole.token_bytes
    assert max(map(len, whole.token_bytes)) > 32
    assert {0, 2, 4} == whole.end_tokens
    assert "<|im_end|>" == whole.control_tokens[2]
    assert all(not whole.token_bytes[token] for token in whole.control_tokens)


def test_tokens_that_fill_texts_in(shared_engine: Any, tmp_path: Path) -> None:
    """A file's metadata names them; the tests' model has none."""
    tiny_models.mamba(tmp_path / "tiny.gguf", infill=(3, 4, 5))
    model = load_model([tmp_path / "tiny.gguf"], LlamaCppOptions(), lambda stage, fraction: None)
    found = model.vocabulary.infill
    model.close()

    assert InfillTokens(3, 4, 5) == found
    assert None is shared_engine.info.infill


@pytest.mark.parametrize("name", ["gemma", "bert"])
def test_whole_vocabularies_of_other_kinds(name: str, gemma_file: Path, tmp_path: Path) -> None:
    """Tokens of bytes, and texts out of which the library takes spaces, change nothing."""
    path = gemma_file
    if name == "bert":
        path = tmp_path / "bert.gguf"
        write_tiny(path)
    model = load_model([path], LlamaCppOptions(), lambda stage, fraction: None)
    alone = [model.vocabulary.token_bytes(token) for token in range(len(model.vocabulary))]
    whole = model.vocabulary.whole().token_bytes
    model.close()

    assert alone == whole
