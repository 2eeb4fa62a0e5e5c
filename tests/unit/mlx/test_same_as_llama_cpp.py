"""The same weights on both engines: SmolLM2 as GGUF and as safetensors says the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_mlx
from gguf_to_mlx import convert
from player import Player

from stoker.artifact import BundleFile, ModelBundle
from stoker.digest import Digest
from stoker.media_types import GGUF, Role
from stoker.reference import Reference
from stoker_llama_cpp import plugin as llama_cpp
from stoker_llama_cpp.options import LlamaCppOptions
from stoker_mlx import plugin as mlx
from stoker_mlx.options import MlxOptions

pytestmark = pytest.mark.model

TEXTS = (
    "The capital of France is",
    "<|im_start|>user\nHi! Name 3 colours.<|im_end|>\n<|im_start|>assistant\n",
    "Füße, 東京 and 🙂.\n\n\tdef f(x):\n        return x ** 2  # 12345",
    "   leading and trailing   ",
    "it's I'll WE'RE don't",
    "1234567890 3.14159 2026-11-25",
    "\r\n\r\n a\u00a0b\u200bc",
    "",
)
CLEAR = (
    "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n",
    "1, 2, 3, 4, 5, 6,",
)
"""Texts of which each next token is clear. Where two are nearly as good, the engines may differ."""
LIKELY = -2.5
DRIFT = 0.3
"""How far log probabilities of likely tokens are apart: llama.cpp rounds what it multiplies with
weights of 4 bits to 8 bits, and MLX to 16."""


@pytest.fixture(scope="module")
def folder(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2 as MLX reads it."""
    folder = tmp_path_factory.mktemp("smollm2") / "mlx"
    convert(model_file, folder)
    return folder


@pytest.fixture(scope="module")
def ours(folder: Path) -> Iterator[Player]:
    options = MlxOptions(context_length=512)
    player = Player(mlx.load(tiny_mlx.bundle_of(folder), options, lambda stage, fraction: None))
    yield player
    player.engine.close()


@pytest.fixture(scope="module")
def theirs(model_file: Path) -> Iterator[Player]:
    files = (BundleFile(model_file, Role.WEIGHTS, GGUF),)
    bundle = ModelBundle(Reference.parse("ai/smollm2"), Digest.of(b"smollm2"), files)
    options = LlamaCppOptions(context_length=512, threads=1)
    player = Player(llama_cpp.load(bundle, options, lambda stage, fraction: None))
    yield player
    player.engine.close()


def test_texts_have_the_same_tokens(ours: Player, theirs: Player) -> None:
    """Both read every text as the same tokens, control tokens in it as such or not."""
    for text in TEXTS:
        for parse_special in (True, False):
            tokens = [
                player.engine.encode(text, add_special=True, parse_special=parse_special)
                for player in (ours, theirs)
            ]
            assert tokens[1] == tokens[0], text


def test_vocabularies_are_the_same(ours: Player, theirs: Player) -> None:
    """Both write the same bytes for every token, and end where the file says.

    llama.cpp ends at tokens for gaps in code as well, of which no config speaks.
    """
    left, right = ours.engine.vocabulary(), theirs.engine.vocabulary()

    assert list(right.token_bytes) == list(left.token_bytes)
    assert left.end_tokens <= right.end_tokens
    assert ours.engine.encode("<|im_end|>", add_special=False, parse_special=True)[0] in (
        left.end_tokens
    )
    assert right.control_tokens == left.control_tokens
    assert theirs.engine.info.chat_template == ours.engine.info.chat_template
    assert theirs.engine.info.special_tokens["bos_token"] == "<|im_start|>"
    assert ours.engine.info.special_tokens["bos_token"] == "<|im_start|>"


@pytest.mark.slow
@pytest.mark.parametrize("text", CLEAR)
def test_answers_are_the_same(ours: Player, theirs: Player, text: str) -> None:
    """The first greedy tokens are the same, and so are their probabilities, nearly."""
    answers = []
    for player in (ours, theirs):
        number = len(player.outputs)
        player.submit(number, text, max_tokens=8, logprobs=5)
        player.run()
        mine = [output for output in player.outputs if output.id == number]
        answers.append([token for output in mine for token in output.tokens])
    left, right = answers

    assert [token.id for token in right] == [token.id for token in left]
    for mine, other in zip(left, right, strict=True):
        known = dict(other.top)
        for token, value in mine.top:
            if value > LIKELY:
                assert abs(known[token] - value) < DRIFT
