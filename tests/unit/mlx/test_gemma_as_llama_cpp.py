"""Gemma 3 on both engines: windows, a tokenizer of pieces, and norms of a kind of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gemma_to_mlx
import pytest
import tiny_mlx
from player import Player

from stoker.artifact import BundleFile, ModelBundle
from stoker.digest import Digest
from stoker.media_types import GGUF, Role
from stoker.reference import Reference
from stoker_llama_cpp import plugin as llama_cpp
from stoker_llama_cpp.options import LlamaCppOptions
from stoker_mlx import plugin as mlx
from stoker_mlx.options import MlxOptions

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(400)]

TEXTS = (
    "The capital of France is",
    "<start_of_turn>user\nHi! Name 3 colours.<end_of_turn>\n<start_of_turn>model\n",
    "Füße, 東京 and 🙂.\n\n\tdef f(x):\n        return x ** 2  # 12345",
    "   leading and trailing   ",
    "\r\n\r\n a\u00a0b\u200bc",
    "",
)
CLEAR = "1, 2, 3, 4, 5, 6,"
DRIFT = 0.3
"""How far log probabilities of the answer's tokens are apart: llama.cpp rounds in other places."""


def ignore(stage: str, fraction: float | None) -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def players(gemma_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Player]]:
    """The model on MLX and on llama.cpp."""
    folder = tmp_path_factory.mktemp("gemma") / "mlx"
    gemma_to_mlx.convert(gemma_file, folder)
    files = (BundleFile(gemma_file, Role.WEIGHTS, GGUF),)
    bundle = ModelBundle(Reference.parse("ai/gemma3"), Digest.of(b"gemma3"), files)
    native = LlamaCppOptions(context_length=512, threads=1)
    loaded = [
        Player(mlx.load(tiny_mlx.bundle_of(folder), MlxOptions(context_length=512), ignore)),
        Player(llama_cpp.load(bundle, native, ignore)),
    ]
    yield loaded
    for player in loaded:
        player.engine.close()


def test_both_say_the_same(players: list[Player]) -> None:
    """Texts have the same tokens, and the first greedy tokens have the same probabilities."""
    for text in TEXTS:
        for parse_special in (True, False):
            ours, theirs = (
                player.engine.encode(text, add_special=True, parse_special=parse_special)
                for player in players
            )
            assert theirs == ours, text
    answers = []
    for player in players:
        player.submit(1, CLEAR, max_tokens=8, logprobs=1)
        player.run()
        answers.append([token for output in player.outputs for token in output.tokens])
    assert [token.id for token in answers[1]] == [token.id for token in answers[0]]
    for mine, other in zip(*answers, strict=True):
        assert mine.logprob == pytest.approx(other.logprob, abs=DRIFT)
