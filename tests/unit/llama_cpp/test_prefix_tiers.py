"""Prefixes that have left the KV cache, with real and with tiny models."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from played import cached, computed, play_at_random, worst
from scoring import NEAR_TIE

from stoker.errors import LoadError
from stoker_llama_cpp import plugin, saved_prefixes
from stoker_llama_cpp.options import LlamaCppOptions
from stoker_llama_cpp.speculation import Speculation

pytestmark = pytest.mark.model

SYSTEM = "You are a patient librarian who answers in one sentence." + (
    " You like short words, old maps and quiet rooms." * 6
)
OTHERS = [
    f"{n} bottles of milk stand on the wall, and {n + 1} cats look at them. " * 8 for n in range(3)
]
QUESTIONS = [" Where are the atlases?", " Who wrote Faust?", " Is it open today?"]
TOKEN_BYTES = 23_040
"""What a token of the tests' model takes: 30 layers, 3 heads of 64 numbers, keys and values."""
TINY_TOKEN_BYTES = 256
"""What a token of the plain tiny model takes: 2 layers, 2 heads of 16 numbers, keys and values."""
TINY_NEAR_TIE = 0.02
"""How much worse than the best a greedy token of the tiny models may score."""
GEMMA_NEAR_TIE = 1.0
"""The same for Gemma 3 with 270M parameters."""

Load = Callable[..., Any]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_HOME", str(tmp_path))


def answer(player: Any, sequence_id: int, prompt: str, **values: Any) -> Any:
    """Answer a prompt, and tidy up."""
    job = player.submit(sequence_id, prompt, **{"max_tokens": 8, **values})
    player.run()
    return job


def used_cells(player: Any) -> int:
    """How many tokens are in the KV cache."""
    return int(player.engine._cache._tree.cells)


def test_a_prefix_comes_back_from_memory(load: Load) -> None:
    """What had to leave the KV cache is restored, and counts as cached to the token."""
    player = load(context_length=256, max_sequences=2, speculation=False)
    jobs = [answer(player, 0, SYSTEM + QUESTIONS[0])]
    for i, text in enumerate(OTHERS):
        jobs.append(answer(player, i + 1, text))
    counts = computed(player)
    jobs.append(answer(player, 9, SYSTEM + QUESTIONS[0]))

    assert len(jobs[0].prompt) - 1 == cached(player, 9)
    assert 1 + 7 == sum(counts)
    assert worst(player, *jobs) <= NEAR_TIE


def test_a_system_prompt_comes_back_for_another_question(load: Load) -> None:
    """A part of what was saved is restored, up to where the prompts part."""
    player = load(context_length=256, max_sequences=2)
    first = answer(player, 0, SYSTEM + QUESTIONS[0])
    for i, text in enumerate(OTHERS):
        answer(player, i + 1, text)
    second = answer(player, 9, SYSTEM + QUESTIONS[1])
    alike = next(
        i for i, (a, b) in enumerate(zip(first.prompt, second.prompt, strict=False)) if a != b
    )

    assert alike == cached(player, 9)
    assert worst(player, first, second) <= NEAR_TIE


def test_a_prefix_is_restored_from_pieces(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long prefix is saved piece by piece, and put together again."""
    monkeypatch.setattr(saved_prefixes, "PIECE_BYTES", 40 * TOKEN_BYTES)
    monkeypatch.setattr(
        saved_prefixes.SavedPrefixes.__init__,
        "__kwdefaults__",
        {**saved_prefixes.SavedPrefixes.__init__.__kwdefaults__, "piece_bytes": 40 * TOKEN_BYTES},
    )
    player = load(context_length=256, max_sequences=2, kept_tokens=0)
    jobs = [answer(player, 0, SYSTEM)]
    jobs.append(answer(player, 1, OTHERS[0]))
    saved = player.engine._cache._saver._saved
    jobs.append(answer(player, 2, SYSTEM))

    assert len(saved._prefixes) >= 4
    assert len(jobs[0].prompt) - 1 == cached(player, 2)
    assert worst(player, *jobs) <= NEAR_TIE


def test_choices_of_a_restored_prompt(load: Load) -> None:
    """Of several choices the first one restores the prompt, and the others start from its cells."""
    player = load(context_length=256, max_sequences=3, kept_tokens=0, speculation=False)
    first = answer(player, 0, SYSTEM)
    answer(player, 1, OTHERS[0])
    counts = computed(player)
    jobs = [player.submit(i, SYSTEM, max_tokens=8) for i in (2, 3, 4)]
    player.run()

    assert [len(first.prompt) - 1] * 3 == [cached(player, i) for i in (2, 3, 4)]
    assert 3 * 8 == sum(counts)
    assert worst(player, *jobs) <= NEAR_TIE


def test_a_lone_sequence_finds_a_small_cache(load: Load) -> None:
    """What is kept of others is out of the way before a lone sequence takes cells."""
    player = load(context_length=1024, max_sequences=4, kept_tokens=0)
    for i, text in enumerate(OTHERS):
        answer(player, i, text)
    job = answer(player, 9, QUESTIONS[0], max_tokens=8)

    assert len(job.prompt) + 7 == used_cells(player)


def test_nothing_is_evicted_that_found_no_room(load: Load) -> None:
    """A slow cache is better than a lost prefix: without room elsewhere, it stays."""
    player = load(
        context_length=1024, max_sequences=4, kept_tokens=0, prefix_ram_bytes=20 * TOKEN_BYTES
    )
    first = answer(player, 0, OTHERS[0])
    answer(player, 1, OTHERS[1])
    again = answer(player, 2, OTHERS[0])

    assert len(first.prompt) - 1 == cached(player, 2)
    assert worst(player, again) <= NEAR_TIE


@pytest.mark.parametrize("crash", [False, True])
def test_a_restart_keeps_a_system_prompt(load: Load, tmp_path: Path, crash: bool) -> None:
    """With files, the next process starts from there; after a crash, too, if it was used twice."""
    player = load(context_length=256, prefix_disk_bytes=2**30)
    first = answer(player, 0, SYSTEM + QUESTIONS[0])
    second = answer(player, 1, SYSTEM + QUESTIONS[1])
    if crash:
        files = player.engine._cache._saver._saved._files
        for _ in range(500):
            if not files._waiting:
                break
            files._writer.join(0.01)
    else:
        player.engine._cache.close()
    player = load(context_length=256, prefix_disk_bytes=2**30)
    again = answer(player, 0, SYSTEM + QUESTIONS[0])
    alike = next(
        i for i, (a, b) in enumerate(zip(first.prompt, second.prompt, strict=False)) if a != b
    )

    assert alike <= cached(player, 0) <= len(again.prompt) - 1
    assert worst(player, again) <= NEAR_TIE
    assert (tmp_path / "cache" / "llama.cpp").is_dir()


def test_files_are_read_while_others_answer(load: Load) -> None:
    """A sequence waits for its file, and the others go on meanwhile."""
    options = {"context_length": 512, "cache_tokens": 1024, "prefix_disk_bytes": 2**30}
    player = load(**options)
    answer(player, 0, SYSTEM)
    player.engine._cache.close()
    player = load(**options)
    player.submit(0, OTHERS[0], max_tokens=250)
    player.run(until=lambda: len(player.tokens(0)) > 2)
    job = player.submit(1, SYSTEM, max_tokens=8)
    player.run()

    assert len(job.prompt) - 1 == cached(player, 1)
    assert worst(player, job) <= NEAR_TIE


@pytest.mark.parametrize("options", [{"cache_type_k": "q8_0"}, {"flash_attention": "off"}])
def test_other_settings_do_not_see_the_files(load: Load, options: dict[str, str]) -> None:
    """What was computed with other numbers is not taken for the same."""
    player = load(context_length=256, prefix_disk_bytes=2**30)
    answer(player, 0, SYSTEM)
    player.engine._cache.close()
    player = load(context_length=256, prefix_disk_bytes=2**30, **options)
    job = answer(player, 0, SYSTEM)

    assert 0 == cached(player, 0)
    assert worst(player, job) <= NEAR_TIE


def test_without_the_option_nothing_is_written(load: Load, tmp_path: Path) -> None:
    """Users' words are on the disk only where that was asked for."""
    player = load(context_length=256)
    for i in range(2):
        answer(player, i, SYSTEM)
    player.engine._cache.close()

    assert [] == [path for path in tmp_path.rglob("*") if path.is_file()]


def test_files_need_memory(load: Load) -> None:
    """Settings that cannot both hold are refused, with what to do."""
    with pytest.raises(LoadError, match="prefix_ram_bytes is 0"):
        load(context_length=256, prefix_disk_bytes=2**30, prefix_ram_bytes=0)


def play_with_tiny_tiers(load: Load, seed: int, token_bytes: int) -> tuple[Any, list[Any]]:
    """Save and restore all the time; the player, and the jobs that were answered at all."""
    dice = random.Random(seed)
    player = load(
        context_length=256,
        max_sequences=3,
        batch_size=64,
        kept_tokens=dice.choice([0, 64]),
        prefix_ram_bytes=dice.choice([300, 600]) * token_bytes,
        prefix_disk_bytes=dice.choice([0, 2000 * token_bytes]),
    )
    loads: list[int] = []
    load_state = player.engine._context.load
    player.engine._context.load = lambda slot, state: loads.append(slot) or load_state(slot, state)
    parts = [SYSTEM + QUESTIONS[0], SYSTEM + QUESTIONS[1], *OTHERS]
    jobs, cancelled = play_at_random(player, dice, parts, jobs=20, shortest=60, longest=190)

    assert all(
        len(player.tokens(job.id)) == job.max_tokens for job in jobs if job.id not in cancelled
    )
    assert len(loads) > 3
    return player, [job for job in jobs if player.tokens(job.id)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_random_arrivals_with_tiny_tiers(load: Load, seed: int) -> None:
    """With saving and restoring all the time, each greedy token is the best but for near-ties."""
    player, answered = play_with_tiny_tiers(load, seed, TOKEN_BYTES)

    assert worst(player, *answered) <= NEAR_TIE


MODELS = [tiny_models.mamba, tiny_models.hybrid, tiny_models.sliding_window]
RECURRENT = MODELS[:2]


@pytest.fixture
def load_tiny(tmp_path: Path, load_file: Load) -> Load:
    """Loads a tiny model."""

    def make(write: Callable[[Path], None], **options: Any) -> Any:
        path = tmp_path / f"{write.__name__}.gguf"
        if not path.exists():
            write(path)
        return load_file(path, **options)

    return make


@pytest.fixture
def load_file(bundle_of: Any, player_type: Callable[[Any], Any]) -> Iterator[Load]:
    """Loads any model, and closes it after the test."""
    players: list[Any] = []

    def make(path: Path, **options: Any) -> Any:
        wanted = LlamaCppOptions(**{"threads": 1, "context_length": 1024, **options})
        engine = plugin.load(bundle_of(path), wanted, lambda stage, fraction: None)
        players.append(player_type(engine))
        return players[-1]

    yield make
    for player in players:
        player.engine.close()


@pytest.mark.parametrize("seed", range(8))
def test_random_arrivals_with_tiny_tiers_of_a_tiny_model(load_tiny: Load, seed: int) -> None:
    """The same, with many seeds in a moment."""
    player, answered = play_with_tiny_tiers(
        lambda **options: load_tiny(tiny_models.plain, **options), seed, TINY_TOKEN_BYTES
    )

    assert worst(player, *answered) <= TINY_NEAR_TIE


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kept_tokens", [0, 1024])
def test_models_that_cannot_be_cut_back_go_on(
    load_tiny: Load, model: Callable[[Path], None], kept_tokens: int
) -> None:
    """The same prompt, and a conversation that goes on, start from a state that was saved."""
    player = load_tiny(model, kept_tokens=kept_tokens)
    first = answer(player, 0, SYSTEM, max_tokens=40)
    answer(player, 1, OTHERS[0])
    again = answer(player, 2, SYSTEM)
    answer(player, 3, OTHERS[1])
    known = (*first.prompt, *player.tokens(0)[:-1])
    longer = player.submit(4, known + player.encode(QUESTIONS[0]), max_tokens=8)
    player.run()

    assert len(first.prompt) - 1 == cached(player, 2)
    assert len(known) == cached(player, 4)
    assert worst(player, first, again, longer) <= TINY_NEAR_TIE


@pytest.mark.parametrize("model", MODELS)
def test_a_shared_system_prompt_is_learned(load_tiny: Load, model: Callable[[Path], None]) -> None:
    """Where a second prompt parts from the first one, a state is saved that a third starts from."""
    player = load_tiny(model, kept_tokens=0)
    jobs = []
    for i, question in enumerate((" Alpha?", " Beta?", " Gamma?")):
        jobs.append(answer(player, 2 * i, SYSTEM + question))
        answer(player, 2 * i + 1, OTHERS[i])

    assert len(player.encode(SYSTEM + " ")) == cached(player, 4)
    assert worst(player, *jobs) <= TINY_NEAR_TIE


@pytest.mark.parametrize("model", RECURRENT)
def test_choices_start_from_one_state(load_tiny: Load, model: Callable[[Path], None]) -> None:
    """The choices of a request wait for the state before the last token of their prompt."""
    player = load_tiny(model)
    counts = computed(player)
    jobs = [player.submit(i, SYSTEM, max_tokens=8) for i in range(3)]
    player.run()
    length = len(jobs[0].prompt)

    assert [0, length - 1, length - 1] == [cached(player, i) for i in range(3)]
    assert length + 2 + 3 * 7 == sum(counts)
    assert worst(player, *jobs) <= TINY_NEAR_TIE


@pytest.mark.parametrize("model", MODELS)
def test_they_outlive_a_restart(load_tiny: Load, model: Callable[[Path], None]) -> None:
    """States that cannot be cut back come back from files."""
    player = load_tiny(model, prefix_disk_bytes=2**30)
    first = answer(player, 0, SYSTEM)
    player.engine._cache.close()
    player = load_tiny(model, prefix_disk_bytes=2**30)
    again = answer(player, 0, SYSTEM)

    assert len(first.prompt) - 1 == cached(player, 0)
    assert worst(player, again) <= TINY_NEAR_TIE


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("seed", range(3))
def test_random_arrivals_with_tiny_models(
    load_tiny: Load, model: Callable[[Path], None], seed: int
) -> None:
    """Whatever comes and goes, each greedy token is the best one but for near-ties."""
    dice = random.Random(seed)
    player = load_tiny(
        model,
        context_length=512,
        max_sequences=3,
        batch_size=64,
        kept_tokens=dice.choice([0, 300]),
        prefix_ram_bytes=dice.choice([100_000, 2**28]),
        prefix_disk_bytes=dice.choice([0, 2**28]),
    )
    parts = [SYSTEM[:150], *QUESTIONS, OTHERS[0][:100]]
    jobs, cancelled = play_at_random(player, dice, parts, jobs=20, longest=400)
    answered = [job for job in jobs if player.tokens(job.id)]

    assert all(
        len(player.tokens(job.id)) == job.max_tokens for job in jobs if job.id not in cancelled
    )
    assert sum(cached(player, job.id) for job in answered) > 100
    assert worst(player, *answered) <= TINY_NEAR_TIE


@pytest.mark.parametrize("seed", range(3))
def test_guesses_with_small_windows(
    load_tiny: Load, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Without a prefix cache layers with a window keep no more than that, and guesses are safe."""
    dice = random.Random(seed)
    options = {"max_sequences": 3, "batch_size": 64, "ubatch_size": 64, "prefix_cache": False}
    texts = [SYSTEM[:150], OTHERS[0][:100], QUESTIONS[0]]
    player = load_tiny(tiny_models.sliding_window, **options, speculation=False)
    for i, text in enumerate(texts):
        player.submit(i, text, max_tokens=150)
    player.run()
    rows = [array("i", player.encode(text)) for text in texts]
    for i, row in enumerate(rows):
        row.extend(player.tokens(i))

    def draft(self: Any, tokens: array[int], most: int, others: int, cost: Any) -> array[int]:
        row = next((row for row in rows if row[: len(tokens)] == tokens), array("i"))
        guess = row[len(tokens) :][: min(most, dice.randrange(16))]
        if guess and dice.random() < 0.4:
            guess[-1] = (guess[-1] + 1) % 256
        self._guess = guess
        return guess

    monkeypatch.setattr(Speculation, "draft", draft)
    player = load_tiny(tiny_models.sliding_window, **options)
    player.fix_pace(monkeypatch, 0.01)
    jobs = [player.submit(i, text, max_tokens=150) for i, text in enumerate(texts)]
    player.run()

    accepted = sum(output.accepted for output in player.outputs)
    assert 100 < accepted < sum(output.drafted for output in player.outputs)
    assert [150] * 3 == [len(player.tokens(job.id)) for job in jobs]
    assert worst(player, *jobs) <= TINY_NEAR_TIE


@pytest.mark.slow
def test_random_arrivals_with_gemma(load_file: Load, gemma_file: Path) -> None:
    """A trained model with a sliding window keeps its word with all tiers, after a restart too."""
    dice = random.Random(1)
    options = {
        "context_length": 512,
        "max_sequences": 3,
        "batch_size": 64,
        "kept_tokens": 0,
        "prefix_ram_bytes": 64 * 2**20,
        "prefix_disk_bytes": 2**30,
    }
    for _ in range(2):
        player = load_file(gemma_file, **options)
        parts = [SYSTEM, SYSTEM + QUESTIONS[0], OTHERS[0]]
        jobs, cancelled = play_at_random(player, dice, parts, jobs=4, shortest=60, longest=150)
        answered = [job for job in jobs if player.tokens(job.id)]

        assert all(
            len(player.tokens(job.id)) == job.max_tokens for job in jobs if job.id not in cancelled
        )
        assert worst(player, *answered) <= GEMMA_NEAR_TIE
        player.engine._cache.close()


@pytest.mark.slow
def test_gemma_starts_from_memory_and_from_files(load_file: Load, gemma_file: Path) -> None:
    """What is restored is what was there: the answer is as right as when all was computed."""
    options = {
        "context_length": 1024,
        "max_sequences": 2,
        "kept_tokens": 0,
        "prefix_disk_bytes": 2**30,
    }
    # More than the window of 512 tokens.
    long = SYSTEM + "".join(OTHERS) + SYSTEM
    player = load_file(gemma_file, **options)
    jobs = [answer(player, 0, long), answer(player, 1, OTHERS[1]), answer(player, 2, long)]

    assert len(jobs[0].prompt) > 512
    assert len(jobs[0].prompt) - 1 == cached(player, 2)
    assert worst(player, *jobs) <= GEMMA_NEAR_TIE
    player.engine._cache.close()
    player = load_file(gemma_file, **options)
    again = answer(player, 0, long)
    assert len(again.prompt) - 1 == cached(player, 0)
    assert worst(player, again) <= GEMMA_NEAR_TIE
