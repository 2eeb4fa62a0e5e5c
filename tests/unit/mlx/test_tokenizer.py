"""The tokenizer: texts, tokens and their bytes, of both kinds of vocabularies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_mlx
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, normalizers

from stoker.engine import InfillTokens
from stoker.errors import InvalidArtifactError, InvalidRequestError
from stoker_mlx.model_files import ModelFiles
from stoker_mlx.tokenizer import Tokenizer

SIZE = 400


def files_of(folder: Path) -> ModelFiles:
    return ModelFiles.of(tiny_mlx.bundle_of(folder))


@pytest.fixture(scope="session")
def tokenizer(tiny: Path) -> Tokenizer:
    return Tokenizer(files_of(tiny), size=SIZE)


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    """The tiny model's folder, to be changed."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in tiny.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@given(st.text())
def test_bytes_are_the_text(tokenizer: Tokenizer, text: str) -> None:
    """The bytes of any text's tokens are the text."""
    tokens = tokenizer.encode(text, add_special=False, parse_special=False)

    assert text.encode() == b"".join(map(tokenizer.token_bytes, tokens))


def test_control_tokens_are_what_the_caller_says(tokenizer: Tokenizer) -> None:
    """Texts of control tokens are these only where they are to be parsed."""
    text = "<|im_end|>"
    as_control = tokenizer.encode(text, add_special=False, parse_special=True)
    as_text = tokenizer.encode(text, add_special=False, parse_special=False)

    assert 1 == len(as_control)
    assert b"" == tokenizer.token_bytes(as_control[0])
    assert text.encode() == b"".join(map(tokenizer.token_bytes, as_text))


def test_half_a_pair_is_refused(tokenizer: Tokenizer) -> None:
    """Half of a surrogate pair is no character, and no reason to crash."""
    with pytest.raises(InvalidRequestError, match="no valid Unicode"):
        tokenizer.encode("a\ud800", add_special=True, parse_special=True)


def test_ends_come_from_all_files(copy: Path) -> None:
    """Configs, the tokenizer's own end, and tokens that end turns are ends of a generation."""
    (copy / "generation_config.json").write_text('{"eos_token_id": [7, 100000, "x"]}')
    whole = Tokenizer(files_of(copy), size=SIZE).whole()

    assert frozenset({1, 3, 7}) == whole.end_tokens
    assert {0: "<s>", 1: "</s>", 2: "<|im_start|>", 3: "<|im_end|>"} == whole.control_tokens
    assert SIZE == len(whole.token_bytes)


def test_a_vocabulary_may_be_padded(tokenizer: Tokenizer) -> None:
    """Places beyond the last token are tokens without bytes; those beyond the size are none."""
    assert b"" == tokenizer.token_bytes(SIZE - 1)
    for token in (-1, SIZE):
        with pytest.raises(IndexError):
            tokenizer.token_bytes(token)


def test_tokens_that_fill_texts_in_are_known_by_name(copy: Path) -> None:
    """All three must be there."""
    before = Tokenizer(files_of(copy), size=SIZE).infill
    library = Library.from_file(str(copy / "tokenizer.json"))
    names = [f"<|fim_{part}|>" for part in ("prefix", "suffix", "middle")]
    library.add_special_tokens(names)
    library.save(str(copy / "tokenizer.json"))

    assert None is before
    expected = InfillTokens(*(library.token_to_id(name) for name in names))
    assert expected == Tokenizer(files_of(copy), size=SIZE).infill
    assert None is Tokenizer(files_of(copy), size=expected.middle).infill


def test_templates_have_several_forms(copy: Path) -> None:
    """A list of named templates has one that is the default; special tokens may be records."""
    settings: dict[str, Any] = {
        "chat_template": [{"name": "rag", "template": "R"}, {"name": "default", "template": "D"}],
        "eos_token": {"content": "</s>", "lstrip": False},
    }
    (copy / "tokenizer_config.json").write_text(json.dumps(settings))
    found = Tokenizer(files_of(copy), size=SIZE)

    assert "D" == found.chat_template
    assert {"eos_token": "</s>"} == found.special_tokens


def test_vocabularies_of_sentencepiece(copy: Path) -> None:
    """Spaces are written as a block there, and bytes without a token as their numbers."""
    pieces = ["<unk>", "\u2581a", "b", "\u2581", *(f"<0x{byte:02X}>" for byte in range(256))]
    library = Library(
        models.BPE(
            vocab={piece: token for token, piece in enumerate(pieces)},
            merges=[],
            unk_token="<unk>",
            byte_fallback=True,
        )
    )
    library.normalizer = normalizers.Replace(" ", "\u2581")
    library.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    library.save(str(copy / "tokenizer.json"))
    found = Tokenizer(files_of(copy), size=len(pieces))

    assert b" a" == found.token_bytes(1)
    assert b"\xff" == found.token_bytes(len(pieces) - 1)
    tokens = found.encode("bé b", add_special=False, parse_special=False)
    assert "bé b".encode() == b"".join(map(found.token_bytes, tokens))


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("tokenizer.json", None, "has no tokenizer.json"),
        ("tokenizer.json", "{}", "cannot be read"),
        ("tokenizer.json", "[" * 100_000, "cannot be read"),
        ("config.json", "[]", "is no JSON object"),
        ("tokenizer_config.json", "{", "cannot be read"),
    ],
)
def test_bad_files_are_named(copy: Path, name: str, text: str | None, complaint: str) -> None:
    """A file that is missing or is something else is named."""
    (copy / name).unlink() if text is None else (copy / name).write_text(text)

    with pytest.raises(InvalidArtifactError, match=complaint):
        Tokenizer(files_of(copy), size=SIZE)


def test_a_model_without_an_end_is_refused(copy: Path) -> None:
    """Where no file names an end, answers would never have one."""
    (copy / "config.json").write_text("{}")
    (copy / "tokenizer_config.json").write_text("{}")
    library = Library(models.BPE(vocab={"a": 0}, merges=[]))
    library.save(str(copy / "tokenizer.json"))

    with pytest.raises(InvalidArtifactError, match="eos_token_id"):
        Tokenizer(files_of(copy), size=SIZE)
