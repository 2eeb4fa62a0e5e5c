"""Sampling, against numpy, on logits that the tests choose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.errors import InvalidRequestError, UnavailableError
from stoker.logits.mask import Mask
from stoker.logits.sampler import Sampler, banned_tokens, check, takes_best
from stoker.sampling import DEFAULT_SAMPLING, SamplingParams

DRAWS = 8000
LOGITS = np.array([2.0, 1.5, -0.5, 1.0, 0.0, 3.0, -4.0, 2.5, 0.5, -1.0], dtype=np.float32)
NEUTRAL = SamplingParams(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0).over(DEFAULT_SAMPLING)

Floats = npt.NDArray[np.float64]


class Drawer:
    """Draws tokens from given logits, without a model."""

    def __init__(self, prompt: tuple[int, ...] = (), size: int = 10, **values: Any) -> None:
        params = SamplingParams(**values).over(NEUTRAL)
        check(params, vocabulary_size=size)
        self._sampler = Sampler(params, prompt=prompt)

    def draw(
        self, logits: npt.NDArray[np.float32] = LOGITS, count: int = 1, mask: Mask | None = None
    ) -> list[int]:
        """Draw tokens; each is one that the penalties see."""
        row = logits.copy()
        drawn = [self._sampler.sample(row, mask) for _ in range(count)]
        assert np.array_equal(logits, row)
        return drawn


def mask_of(*tokens: int, size: int = 10) -> Mask:
    """A mask that allows some tokens."""
    bits = np.zeros(size, dtype=bool)
    bits[list(tokens)] = True
    return Mask(np.packbits(bits, bitorder="little").tobytes(), vocabulary_size=size)


def draw(count: int = 1, logits: npt.NDArray[np.float32] = LOGITS, **values: Any) -> list[int]:
    """Draw tokens with fresh parameters."""
    return Drawer(size=len(logits), **values).draw(logits, count)


def reference(
    logits: npt.NDArray[np.float32] = LOGITS,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    logit_bias: Mapping[int, float] | None = None,
) -> Floats:
    """The probabilities that the documentation of `SamplingParams` describes."""
    changed = logits.astype(np.float64)
    for token, bias in (logit_bias or {}).items():
        changed[token] = -np.inf if bias <= -100 else changed[token] + bias
    changed /= temperature
    if top_k:
        changed[changed < np.sort(changed)[-min(top_k, len(changed))]] = -np.inf
    probabilities = np.exp(changed - changed.max())
    probabilities /= probabilities.sum()
    order = np.argsort(-probabilities)
    kept = np.searchsorted(np.cumsum(probabilities[order]), top_p - 1e-12) + 1
    probabilities[order[kept:]] = 0
    probabilities[probabilities < min_p * probabilities.max()] = 0
    return probabilities / probabilities.sum()


def assert_drawn_from(expected: Floats, drawn: list[int]) -> None:
    """The frequencies are those expected, within five standard deviations."""
    found = np.bincount(drawn, minlength=len(expected)) / len(drawn)
    tolerance = 5 * np.sqrt(expected * (1 - expected) / len(drawn)) + 1e-9

    assert [] == [
        (token, round(float(p), 4), round(float(q), 4))
        for token, (p, q, bound) in enumerate(zip(expected, found, tolerance, strict=True))
        if abs(p - q) > bound
    ]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 2.5},
        {"top_k": 3},
        {"top_k": 100},
        {"top_p": 0.7},
        {"top_p": 0.05},
        {"min_p": 0.2},
        {"min_p": 1.0},
        {"temperature": 1.7, "top_p": 0.8},
        {"temperature": 0.4, "min_p": 0.1},
        {"temperature": 2.0, "top_k": 5, "top_p": 0.8, "min_p": 0.4},
        {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05},
        {"logit_bias": {6: 7.0, 5: -2.5}},
        {"logit_bias": {5: -100.0, 7: -math.inf}, "top_k": 2},
    ],
)
def test_draws_follow_the_documented_distribution(values: dict[str, Any]) -> None:
    """Temperature, top-k, top-p, min-p and bias give the probabilities that numpy computes."""

    assert_drawn_from(reference(**values), draw(DRAWS, seed=11, **values))


@given(
    logits=st.lists(st.integers(-80, 80), min_size=3, max_size=12, unique=True),
    temperature=st.floats(0.3, 3.0),
    top_k=st.integers(0, 12),
    top_p=st.floats(0.1, 1.0),
    min_p=st.floats(0.0, 0.9),
)
def test_the_same_tokens_are_kept(
    logits: list[int], temperature: float, top_k: int, top_p: float, min_p: float
) -> None:
    """Whatever the parameters, no token is drawn that the documentation rules out."""
    given_logits = np.array(logits, dtype=np.float32) / 16
    values = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
    # Rounding may decide otherwise for a token right at a limit, so the limits give way a little.
    loose = {**values, "top_p": min(1.0, top_p + 1e-5), "min_p": max(0.0, min_p - 1e-5)}
    allowed = set(np.flatnonzero(reference(given_logits, **loose)).tolist())

    assert set() == set(draw(300, given_logits, seed=3, **values)) - allowed


def test_a_large_vocabulary_is_sampled_alike() -> None:
    """With many tokens the library sorts in another way, and keeps the same ones."""
    logits = np.random.default_rng(5).normal(0, 2, 20_000).astype(np.float32)
    expected = reference(logits, temperature=0.7, top_p=0.5)
    drawn = draw(400, logits, temperature=0.7, top_p=0.5, seed=1)

    assert set() == set(drawn) - set(np.flatnonzero(expected).tolist())
    assert len(set(drawn)) > 30


@pytest.mark.parametrize("temperature", [0.0, 1e-30])
def test_cold_is_greedy(temperature: float) -> None:
    """At temperature 0, and so near to it that floats end, the best token is taken."""

    assert [5] * 50 == draw(50, temperature=temperature, seed=1)


def test_greedy_after_bias_and_penalties() -> None:
    """Temperature 0 takes the best token after bias and penalties, whatever the rest says."""
    drawer = Drawer(
        temperature=0.0, frequency_penalty=1.0, penalty_window=100, logit_bias={5: -100}, top_k=1
    )

    # 7: 2.5, 1.5, ...; 0: 2.0, 1.0, ...; 1: 1.5, ...; of equals the first.
    assert [7, 0, 1, 7, 0, 3] == drawer.draw(count=6)


def expected_penalties(
    seen: list[int], *, repetition: float = 1.0, presence: float = 0.0, frequency: float = 0.0
) -> npt.NDArray[np.float32]:
    """The logits after penalties."""
    logits = LOGITS.copy()
    for token in set(seen):
        logit = logits[token]
        logits[token] = logit / repetition if logit > 0 else logit * repetition
        logits[token] -= presence + frequency * seen.count(token)
    return logits


@pytest.mark.parametrize(
    "penalties", [{"repetition": 1.8}, {"presence": 1.5}, {"frequency": 0.7}, {"frequency": -0.7}]
)
def test_penalties_look_at_the_prompt(penalties: dict[str, float]) -> None:
    """Each penalty changes the logits of the prompt's tokens as documented."""
    prompt = [5, 5, 7, 2, 0, 5, 6]
    values = {f"{name}_penalty": value for name, value in penalties.items()}
    drawn = []
    for seed in range(DRAWS // 4):
        drawer = Drawer(prompt=tuple(prompt), seed=seed, penalty_window=100, **values)
        drawn += drawer.draw()

    assert_drawn_from(reference(expected_penalties(prompt, **penalties)), drawn)


def test_the_window_ends() -> None:
    """Only the last tokens of the window are penalised, and it moves on with the answer."""
    prompt = (5, 1, 2)
    values = {"temperature": 0.0, "presence_penalty": 2.0}
    narrow, wide, shut = (
        Drawer(prompt=prompt, penalty_window=window, **values) for window in (2, 3, 0)
    )

    assert [5, 7, 0] == narrow.draw(count=3)
    assert [7, 5] == wide.draw(count=2)
    assert [5, 5, 5] == shut.draw(count=3)


@pytest.mark.parametrize("seed", [0, 1, -1, 2**32 - 1, 2**40 + 3])
def test_seeds_are_repeatable(seed: int) -> None:
    """Any integer is a seed that gives the same tokens again, those too that C finds special."""

    assert draw(40, seed=seed) == draw(40, seed=seed)


def test_other_seeds_give_other_tokens() -> None:
    """Different seeds, and no seed at all, give different tokens."""
    drawn = [tuple(draw(60, seed=seed)) for seed in (1, 2, 3, None, None)]

    assert len(drawn) == len(set(drawn))


@pytest.mark.parametrize(
    ("values", "greedy"),
    [
        ({"temperature": 0.0}, True),
        ({"temperature": 0.0, "repetition_penalty": 1.2, "penalty_window": 0}, True),
        ({"temperature": 0.0, "repetition_penalty": 1.2}, False),
        ({"temperature": 0.0, "presence_penalty": 0.1}, False),
        ({"temperature": 0.0, "logit_bias": {1: 1.0}}, False),
        ({"temperature": 0.1}, False),
    ],
)
def test_who_needs_no_chain(values: dict[str, Any], greedy: bool) -> None:
    """Only plain greedy sampling goes without a chain."""

    assert greedy is takes_best(SamplingParams(**values).over(DEFAULT_SAMPLING))


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"logit_bias": {10: 1.0}}, "logit_bias"),
        ({"logit_bias": {-1: 1.0}}, "logit_bias"),
        ({"logit_bias": {1: math.nan}}, "logit_bias"),
        ({"logit_bias": {1: math.inf}}, "logit_bias"),
        ({"logit_bias": dict.fromkeys(range(10), -100.0)}, "logit_bias"),
        ({"repetition_penalty": 1e-9}, "repetition_penalty"),
        ({"repetition_penalty": math.inf}, "repetition_penalty"),
    ],
)
def test_what_cannot_be_computed_is_refused(values: dict[str, Any], param: str) -> None:
    """Tokens that do not exist and numbers beyond floats are refused by name."""

    with pytest.raises(InvalidRequestError) as caught:
        check(SamplingParams(**values).over(DEFAULT_SAMPLING), vocabulary_size=10)
    assert param == caught.value.param


def test_draws_among_the_allowed_tokens() -> None:
    """They are drawn with their own proportions, as if the others had a logit of minus infinity."""
    ruled_out = {token: -100.0 for token in range(10) if token not in {1, 5, 8}}
    drawn = Drawer(seed=1).draw(count=DRAWS, mask=mask_of(1, 5, 8))

    assert_drawn_from(reference(logit_bias=ruled_out), drawn)


def test_draws_among_few_of_many_tokens() -> None:
    """Where a mask leaves few tokens of a large vocabulary, top-k and the rest look at those."""
    logits = np.random.default_rng(7).normal(0, 1, 1000).astype(np.float32)
    allowed = list(range(3, 1000, 50))
    ruled_out = {token: -100.0 for token in range(1000) if token not in allowed}
    values = {"top_k": 12, "top_p": 0.8, "temperature": 0.9}
    drawn = Drawer(seed=2, size=1000, **values).draw(
        logits, count=DRAWS, mask=mask_of(*allowed, size=1000)
    )

    assert_drawn_from(reference(logits, logit_bias=ruled_out, **values), drawn)


def test_one_allowed_token_is_drawn() -> None:
    """However unlikely it is, and whatever would be kept of all tokens."""

    assert [6] == Drawer(top_k=1, top_p=0.1, min_p=0.9).draw(mask=mask_of(6))


def test_penalties_look_at_constrained_tokens_too() -> None:
    """A token that was drawn among few is a seen one."""
    drawer = Drawer(temperature=0.0, frequency_penalty=2.0)

    assert [5, 7, 1] == drawer.draw(count=3, mask=mask_of(1, 5, 7))


def test_a_bias_may_not_ban_all_that_is_allowed() -> None:
    """The request is refused by the name of the field when nothing is left."""
    drawer = Drawer(logit_bias={1: -100.0, 5: -100.0})

    with pytest.raises(InvalidRequestError, match="bans all that the constraint allows") as caught:
        drawer.draw(mask=mask_of(1, 5))
    assert "logit_bias" == caught.value.param


@pytest.mark.parametrize("broken", [math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_what_is_no_number_is_not_sampled(broken: float, temperature: float) -> None:
    """A model that computes no numbers is an error, and not a token."""
    logits = LOGITS.copy()
    logits[3] = broken

    with pytest.raises(UnavailableError, match="not a number"):
        Sampler(SamplingParams(temperature=temperature).over(NEUTRAL)).sample(logits)


@pytest.mark.parametrize(
    "values",
    [
        {"top_k": 40, "top_p": 0.95, "min_p": 0.05, "temperature": 0.8},
        {"top_k": 200, "temperature": 3.0},
        {"top_p": 0.9},
        {"min_p": 0.01},
        {"temperature": 1.0},
    ],
)
def test_the_distribution_of_a_large_vocabulary(values: dict[str, Any]) -> None:
    """With many tokens each is drawn as often as numpy's probabilities say, in groups of some."""
    logits = np.random.default_rng(3).normal(0, 2, 30_000).astype(np.float32)
    probabilities = reference(logits, **values)
    likely_first = np.argsort(-probabilities)
    groups = np.empty(len(logits), dtype=int)
    groups[likely_first] = np.minimum(np.cumsum(probabilities[likely_first]) * 20, 19).astype(int)
    drawn = draw(1000, logits, seed=13, **values)

    assert_drawn_from(
        np.bincount(groups, weights=probabilities, minlength=20), groups[drawn].tolist()
    )


def test_near_ties_may_change_places() -> None:
    """Two almost equal logits give the same tokens for the same seed, whichever is larger."""
    one, other = LOGITS.copy(), LOGITS.copy()
    one[2], other[2] = LOGITS[5] - 1e-6, LOGITS[5] + 1e-6

    assert draw(2000, one, seed=4, top_k=6) == draw(2000, other, seed=4, top_k=6)


def test_banned_tokens() -> None:
    """Those with a bias of -100 or less."""
    bias = {1: -100.0, 2: -99.0, 3: -math.inf, 4: 5.0}

    assert [1, 3] == banned_tokens(SamplingParams(logit_bias=bias))
    assert [] == banned_tokens(SamplingParams())
