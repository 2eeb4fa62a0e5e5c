"""The engine, with a real model."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
from llama_cpp import llama_cpp as native
from scoring import NEAR_TIE, margins

from stoker.constraints.compiler import ConstraintCompiler
from stoker.engine import SequenceJob, TokenConstraint
from stoker.errors import InvalidRequestError, UnavailableError
from stoker.events import FinishReason
from stoker.request import Constraint, ConstraintKind
from stoker_llama_cpp.sequence import NO_SLOT

pytestmark = pytest.mark.model

QUESTION = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
STORIES = ("Once upon a time", "In the beginning of", "def add(a, b):\n", "The recipe needs")

LONG_PROMPT = " there was" + " a small town by the sea," * 7


def cells_of(engine: Any, slot: int) -> int:
    """How many tokens of a slot are in the KV cache."""
    return int(native.llama_memory_seq_pos_max(engine._context._memory, slot)) + 1


def all_cells(engine: Any) -> int:
    """How many tokens are in the KV cache."""
    return sum(cells_of(engine, slot) for slot in range(engine._context.max_sequences))


def test_a_known_answer(player: Any) -> None:
    """The model knows France's capital and then ends by itself."""
    job = player.submit(1, QUESTION, max_tokens=64, ignore_end=False)
    player.run()

    assert "The capital of France is Paris." == player.text(1)
    assert {1: FinishReason.STOP} == player.finishes()
    assert len(job.prompt) == player.outputs[0].prefilled


def test_info(shared_engine: Any) -> None:
    """The engine tells what it has loaded."""
    info = shared_engine.info

    assert 2048 == info.context_length
    assert 49152 == info.vocabulary_size
    assert "<|im_start|>" in info.chat_template
    assert 98_000_000 < info.memory_bytes < 500_000_000
    assert [True] == ["CPU" in device for device in info.devices]


def test_greedy_streams_side_by_side_are_right(player: Any) -> None:
    """Each token of four concurrent streams is the best or nearly so when it is scored alone."""
    jobs = [player.submit(i, text, max_tokens=48) for i, text in enumerate(STORIES)]
    player.run()
    model = player.engine._model.handle
    worst = [max(margins(model, job.prompt, player.tokens(job.id))) for job in jobs]

    assert [48] * 4 == [len(player.tokens(job.id)) for job in jobs]
    assert [] == [margin for margin in worst if margin > NEAR_TIE]


def test_prompts_are_read_between_tokens(player: Any) -> None:
    """While a long prompt is read in pieces, a running stream has a token in every step."""
    player.submit(1, "Once upon a time", max_tokens=200)
    player.run(until=lambda: player.tokens(1))
    long = player.submit(2, "All work and no play makes a dull day. " * 10, max_tokens=8)
    steps = []
    while not player.tokens(2):
        steps.append({item.id: len(item.tokens) for item in player.step()})
    player.engine.cancel(1)
    player.run()
    progress = [item.prefilled for item in player.outputs if item.id == 2 and item.prefilled]

    assert len(steps) > 2
    assert all(step[1] >= 1 for step in steps)
    assert sorted(set(progress)) == progress
    assert len(long.prompt) == progress[-1]
    assert (
        max(
            margins(
                player.engine._model.handle, player.encode("Once upon a time"), player.tokens(1)
            )
        )
        <= NEAR_TIE
    )


def test_a_prompt_read_in_pieces_is_read_right(load: Callable[..., Any]) -> None:
    """The answer to a prompt that was read in several steps is the one to the whole prompt."""
    player = load(batch_size=64, context_length=512)
    prompt = player.encode("One two three four five six seven eight nine ten. " * 20)
    player.submit(1, prompt, max_tokens=12)
    player.run()

    read = [item.prefilled for item in player.outputs if item.prefilled]
    assert len(read) >= 4
    assert max(later - earlier for earlier, later in itertools.pairwise([0, *read])) <= 64
    assert max(margins(player.engine._model.handle, prompt, player.tokens(1))) <= NEAR_TIE


def test_more_than_fit_wait(load: Callable[..., Any]) -> None:
    """With two places five sequences all end, and never more than two run."""
    player = load(max_sequences=2, context_length=512, prefix_cache=False)
    for i in range(5):
        player.submit(i, STORIES[i % 4], max_tokens=6)
    while not player.engine.idle:
        assert len({item.id for item in player.step()}) <= 2

    assert [6] * 5 == [len(player.tokens(i)) for i in range(5)]
    assert 0 == all_cells(player.engine)


def test_a_full_cache_delays_and_changes_nothing(load: Callable[..., Any]) -> None:
    """Sequences that together outgrow the cache take turns, and each answer stays right."""
    player = load(max_sequences=2, context_length=256, speculation=False)
    jobs = [player.submit(i, STORIES[i] + LONG_PROMPT, max_tokens=120) for i in range(2)]
    player.run()
    model = player.engine._model.handle

    assert {0: 0, 1: 1} == {
        job.id: sum(item.preemptions for item in player.outputs if item.id == job.id)
        for job in jobs
    }
    assert [120, 120] == [len(player.tokens(job.id)) for job in jobs]
    assert [] == [
        margin
        for job in jobs
        for margin in margins(model, job.prompt, player.tokens(job.id))
        if margin > NEAR_TIE
    ]


def test_draws_go_on_after_a_wait(load: Callable[..., Any]) -> None:
    """A seeded sequence that had to give its memory up goes on with its random numbers."""
    player = load(max_sequences=2, context_length=256)
    # Draws from eight tokens that hardly depend on the model, whose logits vary with the batch.
    bias = {100 + i: 1000.0 - 100 * i for i in range(8)}
    values = {"temperature": 100.0, "top_k": 8, "seed": 5, "logit_bias": bias, "max_tokens": 80}
    player.submit(0, STORIES[0] + LONG_PROMPT, max_tokens=80)
    player.submit(1, STORIES[1] + LONG_PROMPT, **values)
    player.run()
    player.submit(2, STORIES[1] + LONG_PROMPT, **values)
    player.run()
    pairs = list(zip(player.tokens(1), player.tokens(2), strict=True))

    assert 80 == len(pairs)
    assert len(set(player.tokens(1))) > 2
    assert sum(first == second for first, second in pairs) > 75


def test_cancel_while_a_prompt_is_read(load: Callable[..., Any]) -> None:
    """A sequence that is cancelled half-way through its prompt frees its memory."""
    player = load(batch_size=32, context_length=512, prefix_cache=False)
    player.submit(1, "Tell me more about it, please. " * 20)
    player.step()
    (sequence,) = player.engine._scheduler.sequences
    slot, read = sequence.slot, sequence.in_memory

    assert 0 < read == cells_of(player.engine, slot)
    assert sequence.pending > 0
    player.engine.cancel(1)
    assert [] == player.step()
    assert 0 == cells_of(player.engine, slot)


def test_a_reading_step_is_short(load: Callable[..., Any]) -> None:
    """A long prompt is read in pieces, so that a cancelled one is gone soon."""
    player = load(context_length=8192, batch_size=2048)
    player.submit(1, (1000,) * 8000)
    for _ in range(4):
        player.step()
    read = [item.prefilled for item in player.outputs]
    player.engine.cancel(1)

    # As a time this would depend on the machine; test_pace.py shows that pieces follow the time.
    assert all(0 < tokens <= 2**step * 64 for step, tokens in enumerate(read, 1))
    assert [] == player.step()


def test_cancel_while_answering(load: Callable[..., Any]) -> None:
    """A cancelled answer frees its memory and a waiting sequence takes its place."""
    player = load(context_length=2048, prefix_cache=False)
    for i in range(9):
        player.submit(i, STORIES[i % 4], max_tokens=1000)
    player.run(until=lambda: player.tokens(7))
    running = {item.job.id: item for item in player.engine._scheduler.sequences}

    assert NO_SLOT == running[8].slot
    slot = running[3].slot
    player.engine.cancel(3)
    assert 0 == cells_of(player.engine, slot)
    player.run(until=lambda: player.tokens(8))
    assert slot == running[8].slot
    for i in range(9):
        player.engine.cancel(i)
    assert 0 == all_cells(player.engine)


def test_seeds_repeat_alone(load: Callable[..., Any]) -> None:
    """The same seed gives the same tokens, another one others, and none gives fresh ones."""
    player = load(context_length=512, speculation=False)
    for i, seed in enumerate((7, 7, 8, None, None)):
        player.submit(i, "Once upon a time", temperature=1.2, seed=seed, max_tokens=24)
        player.run()
    answers = [tuple(player.tokens(i)) for i in range(5)]

    assert answers[0] == answers[1]
    assert 4 == len(set(answers))


def test_long_prompts_repeat_alone(load: Callable[..., Any]) -> None:
    """A prompt of several batches gives the same tokens again, to the last one."""
    player = load(context_length=1024, speculation=False)
    prompt = player.encode("It was the best of times, it was the worst of times. " * 38)
    for i in range(2):
        player.submit(i, prompt, temperature=1.5, top_p=1.0, min_p=0.0, seed=3, max_tokens=12)
        player.run()

    assert len(prompt) > 512
    assert player.tokens(0) == player.tokens(1)


def test_logit_bias_forces_and_bans(player: Any) -> None:
    """A large bias forces a token, and -100 keeps the best one out, greedy or not."""
    (paris,) = player.engine.encode(" Paris", add_special=False, parse_special=False)
    prompt = player.encode("The capital of France is")
    player.submit(1, prompt, max_tokens=1)
    player.submit(2, prompt, max_tokens=3, logit_bias={1234: 100.0})
    player.submit(3, prompt, max_tokens=1, logit_bias={paris: -100.0})
    player.submit(4, prompt, max_tokens=30, logit_bias={paris: -100.0}, temperature=1.0, seed=2)
    player.run()

    assert [paris] == player.tokens(1)
    assert [1234] * 3 == player.tokens(2)
    assert paris not in player.tokens(3) + player.tokens(4)


def test_penalties_end_repetition(player: Any) -> None:
    """A repeating greedy answer stops repeating with a penalty."""
    prompt = "one two three " * 20
    player.submit(1, prompt, max_tokens=40)
    player.submit(2, prompt, max_tokens=40, repetition_penalty=1.5, penalty_window=200)
    player.run()

    assert len(set(player.tokens(1))) < 10
    assert len(set(player.tokens(2))) > 25


def test_logprobs_are_the_models_own(player: Any) -> None:
    """Log probabilities come from the raw distribution, whatever the sampling parameters are."""
    prompt = player.encode(QUESTION)
    changes = {"temperature": 3.0, "top_k": 2, "logit_bias": {504: -5.0}, "repetition_penalty": 1.5}
    # From here on all of them compute the last token of the prompt and nothing else: how many
    # tokens are computed together changes the last digits.
    player.submit(0, prompt, max_tokens=1)
    player.run()
    for i, values in enumerate(({"logprobs": 20}, {"logprobs": 5, **changes}, {"logprobs": 0}), 1):
        player.submit(i, prompt, max_tokens=1, seed=1, **values)
        player.run()
    plain, changed, own = (
        token for i in (1, 2, 3) for item in player.outputs if item.id == i for token in item.tokens
    )

    assert [token for token, _ in plain.top[:5]] == [token for token, _ in changed.top]
    assert dict(plain.top)[changed.id] == changed.logprob
    assert plain.top[0] == (plain.id, plain.logprob)
    assert 20 == len(plain.top)
    assert () == own.top
    assert plain.logprob == own.logprob


@pytest.fixture(scope="module")
def constrain(shared_engine: Any) -> Iterator[Callable[..., TokenConstraint]]:
    """Makes constraints for the shared engine."""
    compiler = ConstraintCompiler(shared_engine)

    def make(kind: ConstraintKind, source: str = "") -> TokenConstraint:
        return compiler.compile(Constraint(kind, source)).result(60).begin("constraint")

    yield make
    compiler.close()


def test_a_constraint_that_allows_anything_changes_nothing(
    player: Any, constrain: Callable[..., TokenConstraint]
) -> None:
    """Where all tokens are allowed, the best one is taken, as without a constraint."""
    anything = constrain(ConstraintKind.REGEX, r"(?s:.*)")
    job = player.submit(1, STORIES[0], max_tokens=48, ignore_end=False, constraint=anything)
    player.run()
    player.submit(2, STORIES[0], max_tokens=48, ignore_end=False)
    player.run()
    answers = [player.tokens(1), player.tokens(2)]
    model = player.engine._model.handle

    assert [48, 48] == [len(answer) for answer in answers]
    # They need not be equal: guesses make steps of different sizes, which changes the last digits.
    assert [] == [
        answer for answer in answers if max(margins(model, job.prompt, answer)) > NEAR_TIE
    ]


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_schemas_are_followed_side_by_side(
    player: Any, constrain: Callable[..., TokenConstraint], temperature: float
) -> None:
    """Each of several sequences follows its own form, hot ones too, beside one that is free."""
    player.submit(9, STORIES[0], max_tokens=20)
    for year in range(1, 5):
        schema = {"type": "array", "items": {"enum": [year, "x"]}, "minItems": 3, "maxItems": 3}
        constraint = constrain(ConstraintKind.JSON_SCHEMA, json.dumps(schema))
        player.submit(
            year,
            QUESTION,
            max_tokens=60,
            ignore_end=False,
            temperature=temperature,
            seed=year,
            constraint=constraint,
        )
    player.run()

    for year in range(1, 5):
        answer = json.loads(player.text(year))
        assert 3 == len(answer)
        assert {year, "x"} >= set(answer)
        assert FinishReason.STOP is player.finishes()[year]
    assert 20 == len(player.tokens(9))


def test_a_constrained_answer_goes_on_after_a_wait(
    load: Callable[..., Any],
) -> None:
    """A sequence that gave up its memory keeps its place in the grammar."""
    player = load(context_length=256, cache_tokens=256, max_sequences=2)
    compiler = ConstraintCompiler(player.engine)
    digits = Constraint(ConstraintKind.REGEX, "[0-9]{150}")
    grammar = compiler.compile(digits).result(60)
    first, second = grammar.begin("first"), grammar.begin("second")
    player.submit(1, STORIES[0], max_tokens=200, ignore_end=False, constraint=first)
    player.submit(2, STORIES[1], max_tokens=200, ignore_end=False, constraint=second)
    player.run()
    compiler.close()

    assert [150, 150] == [len(player.text(number)) for number in (1, 2)]
    assert (player.text(1) + player.text(2)).isdigit()


def test_forced_text_is_not_sampled(player: Any, constrain: Callable[..., TokenConstraint]) -> None:
    """What the form leaves no choice about comes along with the token before it."""
    schema = {
        "type": "object",
        "properties": {
            "temperature_in_celsius": {"enum": [1, 2]},
            "is_it_raining": {"const": True},
        },
        "required": ["temperature_in_celsius", "is_it_raining"],
        "additionalProperties": False,
    }
    constraint = constrain(ConstraintKind.JSON_SCHEMA, json.dumps(schema))
    player.submit(1, QUESTION, max_tokens=60, ignore_end=False, constraint=constraint)
    player.run()
    answers = [output for output in player.outputs if output.tokens]

    assert ["temperature_in_celsius", "is_it_raining"] == list(json.loads(player.text(1)))
    assert len(answers) <= 4
    assert len(player.tokens(1)) > 10
    assert FinishReason.STOP is player.finishes()[1]


@pytest.mark.parametrize("values", [{}, {"logprobs": 0}, {"temperature": 1.0, "seed": 2}])
def test_forced_text_is_lossless(
    load: Callable[..., Any], constrain: Callable[..., TokenConstraint], values: dict[str, Any]
) -> None:
    """With forced tokens and without them the same tokens come, and the model has read them all."""
    schema = json.dumps({"enum": [f"the {kind} of the temple" for kind in ("front", "back")]})
    rows, steps = [], []
    for batch_size in (64, 4):
        player = load(context_length=512, batch_size=batch_size, max_sequences=4, ubatch_size=4)
        constraint = constrain(ConstraintKind.JSON_SCHEMA, schema)
        job = player.submit(
            1, QUESTION, max_tokens=40, ignore_end=False, constraint=constraint, **values
        )
        player.run()
        rows.append(player.tokens(1))
        steps.append(len([output for output in player.outputs if output.tokens]))
        assert FinishReason.STOP is player.finishes()[1]
        # The same prompt and answer again, from the cache: what is in it is what was answered.
        player.submit(2, (*job.prompt, *rows[-1][:-1]), max_tokens=1)
        player.run()
        (cached,) = [output.cached for output in player.outputs if output.id == 2]
        assert cached > len(job.prompt)

    assert rows[0] == rows[1]
    assert (steps[0] < steps[1]) is ("logprobs" not in values)


def test_forced_text_ends_with_max_tokens(
    player: Any, constrain: Callable[..., TokenConstraint]
) -> None:
    """A limit inside of forced text is kept to the token."""
    for limit in range(1, 6):
        constraint = constrain(ConstraintKind.CHOICE, '["one two three four five six seven"]')
        player.submit(limit, QUESTION, max_tokens=limit, ignore_end=False, constraint=constraint)
        player.run()

        assert limit == len(player.tokens(limit))
        assert FinishReason.LENGTH is player.finishes()[limit]


def test_what_a_ban_leaves_of_a_constraint(
    player: Any, constrain: Callable[..., TokenConstraint]
) -> None:
    """Banned tokens are not taken; a ban of all that is allowed fails this sequence only."""
    (yes,) = player.engine.encode("yes", add_special=False, parse_special=False)
    choice = ConstraintKind.CHOICE
    letters = dict.fromkeys((yes, *player.encode("y"), *player.encode("ye")), -100.0)
    player.submit(1, QUESTION, constraint=constrain(choice, '["yes"]'), ignore_end=False)
    player.submit(
        2,
        QUESTION,
        constraint=constrain(choice, '["yes", "no"]'),
        ignore_end=False,
        logit_bias=letters,
    )
    player.submit(
        3, QUESTION, constraint=constrain(choice, '["yes"]'), ignore_end=False, logit_bias=letters
    )
    player.run()

    assert "yes" == player.text(1)
    assert "no" == player.text(2)
    errors = [output for output in player.outputs if output.error is not None]
    assert [3] == [output.id for output in errors]
    assert "logit_bias" in str(errors[0].error)


def test_logprobs_of_a_constrained_answer_are_the_models_own(
    player: Any, constrain: Callable[..., TokenConstraint]
) -> None:
    """The mask changes what is taken, and not what the model thinks of it."""
    constraint = constrain(ConstraintKind.CHOICE, '["zq"]')
    player.submit(1, QUESTION, logprobs=1, constraint=constraint, ignore_end=False)
    player.run()
    first = next(token for output in player.outputs for token in output.tokens)

    assert first.logprob < -5
    assert first.top[0][1] > first.logprob


def test_max_tokens_ends(player: Any) -> None:
    """An answer of exactly `max_tokens` ends for its length."""
    player.submit(1, QUESTION, max_tokens=3, ignore_end=False)
    player.run()

    assert "The capital of" == player.text(1)
    assert {1: FinishReason.LENGTH} == player.finishes()


def test_the_end_can_be_ignored(player: Any) -> None:
    """With `ignore_end` the answer goes on, and the end token, which has no text, is in it."""
    player.submit(1, QUESTION, max_tokens=20)
    player.run()

    assert 20 == len(player.tokens(1))
    assert player.text(1).startswith("The capital of France is Paris.")
    assert any(player.engine._vocabulary.ends_generation(token) for token in player.tokens(1))


def test_the_whole_context_can_be_used(load: Callable[..., Any]) -> None:
    """Prompt and answer may fill the context to its last token."""
    player = load(context_length=256)
    prompt = player.encode("Count on: one two three" * 40)
    player.submit(1, prompt, max_tokens=256 - len(prompt))
    player.run()

    assert 256 - len(prompt) == len(player.tokens(1))


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": ()},
        {"prompt": (49152,)},
        {"prompt": (-1,)},
        {"max_tokens": 0},
        {"max_tokens": 2048},
        {"id": 1},
    ],
)
def test_impossible_jobs_are_refused(player: Any, changes: dict[str, Any]) -> None:
    """A job that cannot run is refused at once, and the others are not disturbed."""
    job: SequenceJob = player.submit(1, "Once upon a time", max_tokens=4)

    with pytest.raises(InvalidRequestError):
        player.engine.submit(attrs.evolve(job, **{"id": 2, **changes}))
    player.run()
    assert 4 == len(player.tokens(1))


@pytest.mark.parametrize("code", [1, -1, -3])
def test_a_failed_batch_costs_one_sequence(
    player: Any, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """When a batch cannot be computed, the newest sequence fails and the others end well."""
    decode = player.engine._context.decode
    jobs = [player.submit(i, STORIES[i], max_tokens=20) for i in range(2)]
    player.run(until=lambda: len(player.tokens(0)) > 3)
    player.submit(2, "And then there was one", max_tokens=20)
    monkeypatch.setattr(player.engine._context, "decode", lambda batch: code)
    (output,) = player.step()
    monkeypatch.setattr(player.engine._context, "decode", decode)
    player.run()

    assert 2 == output.id
    assert isinstance(output.error, UnavailableError)
    assert [20, 20] == [len(player.tokens(job.id)) for job in jobs]
    assert [] == [
        margin
        for job in jobs
        for margin in margins(player.engine._model.handle, job.prompt, player.tokens(job.id))
        if margin > NEAR_TIE
    ]


def test_half_of_a_failed_batch_is_kept(player: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a failed batch has computed all the same is not computed with other positions again."""
    decode = player.engine._context.decode
    job = player.submit(1, STORIES[0], max_tokens=12)
    player.run(until=lambda: len(player.tokens(1)) > 2)
    player.submit(2, STORIES[1], max_tokens=12)

    def compute_and_fail(batch: Any) -> int:
        decode(batch)
        return -3

    monkeypatch.setattr(player.engine._context, "decode", compute_and_fail)
    player.step()
    monkeypatch.setattr(player.engine._context, "decode", decode)
    player.run()

    assert 12 == len(player.tokens(1))
    assert max(margins(player.engine._model.handle, job.prompt, player.tokens(1))) <= NEAR_TIE


def test_larger_priority_is_first(load: Callable[..., Any]) -> None:
    """Of waiting sequences the one with the largest priority is answered first."""
    player = load(max_sequences=1, context_length=256)
    for i, priority in enumerate((0, 0, 3)):
        player.submit(i, STORIES[i], max_tokens=3, priority=priority)
    player.run()

    assert [2, 0, 1] == list(player.finishes())


def test_idle_steps_do_nothing(player: Any) -> None:
    """A step of an idle engine returns at once, and so does cancelling nobody."""
    player.engine.cancel(99)

    assert [] == player.step()
    assert player.engine.idle


def test_closing_in_the_middle(open_player: Callable[..., Any]) -> None:
    """An engine closes with sequences under way, those with samplers of their own included."""
    player = open_player(context_length=256)
    player.submit(1, STORIES[0], temperature=1.0)
    player.submit(2, STORIES[1], max_tokens=100)
    player.step()

    player.engine.close()
