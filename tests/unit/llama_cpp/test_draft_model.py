"""A draft model: the tests' model guesses for itself."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import attrs
import pytest
import tiny_models
from scoring import NEAR_TIE, margins

from stoker.artifact import BundleFile
from stoker.errors import LoadError
from stoker.media_types import GGUF, Role
from stoker_llama_cpp import plugin
from stoker_llama_cpp.draft_model import CATCH_UP_TOKENS
from stoker_llama_cpp.options import LlamaCppOptions

PROMPT = "The history of the lighthouse begins with"


def drafted(player: Any) -> int:
    """How many tokens were guessed so far."""
    return sum(output.drafted for output in player.outputs)


@pytest.fixture
def drafting(load: Any, model_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An engine whose guesses are cheap."""
    player = load(context_length=1024, max_sequences=4, draft_model=str(model_path))
    player.fix_pace(monkeypatch, 0.02)
    return player


def test_guesses_save_steps(drafting: Any) -> None:
    """A model that guesses as the other one answers makes it take few steps, and right ones."""
    job = drafting.submit(1, PROMPT, max_tokens=60)
    drafting.run()
    answers = [output for output in drafting.outputs if output.tokens]

    assert 60 == len(drafting.tokens(1))
    assert len(answers) < 45
    assert 60 - len(answers) == sum(output.accepted for output in answers)
    assert max(margins(drafting.engine._model.handle, job.prompt, drafting.tokens(1))) <= NEAR_TIE


def test_draws_are_the_same_with_a_draft_model(drafting: Any, load: Any) -> None:
    """With the same random numbers the same tokens are drawn, with guesses and without."""
    # Draws from two tokens that hardly depend on the model, whose logits vary with the batch.
    bias = {100: 1000.0, 101: 800.0}
    values = {"temperature": 100.0, "top_k": 2, "seed": 5, "logit_bias": bias, "max_tokens": 60}
    without = load(context_length=512, speculation=False)
    for player in (drafting, without):
        player.submit(1, PROMPT, **values)
        player.run()

    assert 0 == drafted(without)
    assert 0 < drafted(drafting)
    pairs = zip(drafting.tokens(1), without.tokens(1), strict=True)
    assert sum(first == second for first, second in pairs) > 57


def test_sequences_come_and_go(drafting: Any) -> None:
    """Beside each other, cancelled and more than run at once, all get the tokens they should."""
    jobs = {}
    for i in range(7):
        jobs[i] = drafting.submit(i, f"{PROMPT} {'a very ' * i}", max_tokens=12 + i)
        if i == 4:
            for _ in range(6):
                drafting.step()
            drafting.engine.cancel(2)
    drafting.run()
    model = drafting.engine._model.handle

    assert drafted(drafting) > 0
    for i, job in jobs.items():
        if i != 2:
            assert 12 + i == len(drafting.tokens(i))
            assert max(margins(model, job.prompt, drafting.tokens(i))) <= NEAR_TIE
    assert not drafting.engine._drafting._model._copies


def test_a_long_prompt_is_caught_up_with_in_parts(drafting: Any) -> None:
    """Nothing is guessed until the draft model has read the prompt, which takes it some steps."""
    drafting.submit(1, "word " * (3 * CATCH_UP_TOKENS), max_tokens=40, logit_bias={0: -100.0})
    drafting.run(lambda: len(drafting.tokens(1)) > 0)
    model = drafting.engine._drafting._model
    copies = []
    while not drafting.engine.idle:
        drafting.step()
        copies += [copy.in_memory for copy in model._copies.values()]

    assert 40 == len(drafting.tokens(1))
    assert all(after - before <= CATCH_UP_TOKENS for before, after in itertools.pairwise(copies))


def test_what_does_not_fit_is_not_guessed_for(
    load: Any, model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefixes share cells in one model and not in the other: there, some do without a copy."""
    player = load(context_length=512, max_sequences=8, draft_model=str(model_path))
    player.fix_pace(monkeypatch, 0.02)
    prompt = "It was the year of the great flood, and nobody had seen it coming. " * 12
    for i in range(8):
        player.submit(i, f"{prompt} Chapter {i}.", max_tokens=10)
    player.run()

    assert all(10 == len(player.tokens(i)) for i in range(8))


def test_a_layer_for_drafts_is_used(model_path: Path, bundle_of: Any, player_type: Any) -> None:
    """An artifact may bring its draft model along."""
    bundle = bundle_of(model_path)
    bundle = attrs.evolve(bundle, files=(*bundle.files, BundleFile(model_path, Role.DRAFT, GGUF)))
    options = LlamaCppOptions(threads=1, context_length=256)
    player = player_type(plugin.load(bundle, options, lambda stage, fraction: None))
    try:
        assert player.engine._drafting._model is not None
        player.submit(1, PROMPT, max_tokens=8)
        player.run()
        assert 8 == len(player.tokens(1))
    finally:
        player.engine.close()


def test_a_model_with_other_tokens_is_refused(load: Any, tmp_path: Path) -> None:
    """Its guesses would mean something else, so the load fails and names both."""
    tiny_models.sliding_window(tmp_path / "tiny.gguf")

    with pytest.raises(LoadError, match=r"tiny.gguf cannot guess for ai/smollm2: its tokens"):
        load(draft_model=str(tmp_path / "tiny.gguf"))


def test_a_model_that_cannot_be_cut_back_is_refused(load: Any, tmp_path: Path) -> None:
    """Wrong guesses could not be taken out of its memory."""
    tiny_models.mamba(tmp_path / "tiny.gguf")

    with pytest.raises(LoadError, match=r"tiny.gguf cannot guess .* cannot be cut back"):
        load(draft_model=str(tmp_path / "tiny.gguf"))


def test_a_missing_file_is_named(load: Any) -> None:
    """A draft model that is not there fails the load."""
    with pytest.raises(LoadError, match=r"missing.gguf cannot be read"):
        load(draft_model="~/missing.gguf")
