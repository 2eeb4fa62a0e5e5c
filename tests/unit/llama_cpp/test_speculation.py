"""Guesses, and whether they pay."""

from __future__ import annotations

from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring import NEAR_TIE, margins

from stoker_llama_cpp.speculation import MAX_DRAFT_TOKENS, Speculation, continued, worthwhile

LIST = "<|im_start|>user\nRepeat: red, green, blue, red, green, blue, red, green, blue<|im_end|>\n"


def linear(price: float) -> Any:
    """A machine where each token costs this part of a step with one."""
    return lambda tokens: 1 + price * (tokens - 1)


@pytest.mark.parametrize(
    ("odds", "price", "others", "expected"),
    [
        (0.9, 0.0, 0, MAX_DRAFT_TOKENS),
        (1.0, 0.5, 0, MAX_DRAFT_TOKENS),
        (0.5, 0.25, 0, 1),
        (0.2, 0.25, 0, 0),
        (0.9, 1.0, 0, 0),
        (0.9, 0.25, 7, 2),
        (0.3, 0.25, 7, 0),
    ],
)
def test_a_draft_is_as_long_as_it_pays(
    odds: float, price: float, others: int, expected: int
) -> None:
    """Likely guesses on machines where tokens cost little are long, and others are not made."""
    assert expected == worthwhile(odds, MAX_DRAFT_TOKENS, others, linear(price))


@given(
    odds=st.floats(0, 1), price=st.floats(0, 1), others=st.integers(0, 20), most=st.integers(0, 20)
)
def test_no_other_length_pays_more(odds: float, price: float, others: int, most: int) -> None:
    """Of all lengths the one with the most tokens for the cost of a step is taken."""

    def gain(count: int) -> float:
        return (others + sum(odds**i for i in range(count + 1))) / linear(price)(others + 1 + count)

    chosen = worthwhile(odds, most, others, linear(price))

    assert 0 <= chosen <= most
    assert pytest.approx(max(gain(count) for count in range(most + 1))) == gain(chosen)


def test_a_repetition_goes_on() -> None:
    """A guess that reaches the end goes on as it has begun."""
    assert [2, 3, 1, 2, 3, 1, 2] == continued(array("i", [1, 2, 3, 1]), 1, 7).tolist()


def test_bad_guesses_are_not_computed_and_good_ones_are_again() -> None:
    """Guesses stop when they are wrong, and begin again when they would have been right."""
    speculation, row, sizes = Speculation(), array("i", [1, 2, 3, 4] * 2), []
    for right in (False, True):
        for _ in range(20):
            draft = speculation.draft(row, MAX_DRAFT_TOKENS, 0, linear(0.4))
            following = continued(row, len(row) - 4, 1 + len(draft))
            sampled = following if right else array("i", [following[0] + 10])
            speculation.observe(sampled)
            row += sampled if right else array("i", [1, 2, 3, 4])
            sizes.append(len(draft))

    assert 0 == sizes[19]
    assert sizes[39] > 2


def test_a_model_that_does_not_pay_is_asked_seldom() -> None:
    """After wrong guesses a draft model rests, ever longer, until it is right again."""
    speculation = Speculation()

    def asked(steps: int, *, right: bool) -> int:
        count = 0
        for _ in range(steps):
            wish = speculation.wish(MAX_DRAFT_TOKENS, 0, linear(0.4))
            if wish:
                speculation.guessed(array("i", [7] * wish))
                speculation.observe(array("i", [7] * (wish + 1) if right else [8]))
                count += 1
        return count

    assert 0 < asked(60, right=False) < 15
    assert asked(200, right=False) < 6
    asked(3000, right=True)
    assert 50 == asked(50, right=True)


@pytest.mark.parametrize("temperature", [0.0, 0.1])
def test_a_repetition_takes_fewer_steps(
    player: Any, monkeypatch: pytest.MonkeyPatch, temperature: float
) -> None:
    """A text that repeats itself comes in fewer steps than it has tokens, and it is right."""
    job = player.submit(
        1, LIST + "<|im_start|>assistant\n", temperature=temperature, seed=1, max_tokens=48
    )
    player.fix_pace(monkeypatch, 0.05)
    player.run()
    answers = [output for output in player.outputs if output.tokens]

    assert 48 == len(player.tokens(1))
    assert len(answers) < 40
    assert 48 - len(answers) == sum(output.accepted for output in answers)
    assert all(output.accepted <= output.drafted for output in answers)
    if not temperature:
        model = player.engine._model.handle
        assert max(margins(model, job.prompt, player.tokens(1))) <= NEAR_TIE


def test_draws_are_the_same_with_guesses(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same random numbers the same tokens are drawn, with guesses and without."""
    # Draws from four tokens that hardly depend on the model, whose logits vary with the batch.
    bias = {100 + i: 1000.0 - 50 * i for i in range(4)}
    values = {"temperature": 100.0, "top_k": 4, "seed": 5, "logit_bias": bias, "max_tokens": 100}
    rows, drafted = [], []
    for speculates in (True, False):
        player = load(context_length=512, speculation=speculates)
        player.submit(1, "Once upon a time", **values)
        player.fix_pace(monkeypatch, 0.05)
        player.run()
        rows.append(player.tokens(1))
        drafted.append(sum(output.drafted for output in player.outputs))

    assert drafted[0] > 0
    assert 0 == drafted[1]
    assert sum(first == second for first, second in zip(*rows, strict=True)) > 95


def test_the_last_token_is_not_gone_beyond(player: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However good the guesses are, there are no more tokens than were asked for."""
    for max_tokens in range(1, 9):
        player.submit(max_tokens, "na " * 40, max_tokens=max_tokens)
        player.fix_pace(monkeypatch, 0.02)
        player.run()

        assert max_tokens == len(player.tokens(max_tokens))
