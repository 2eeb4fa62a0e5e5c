"""How the tokens of answers are chosen and taken."""

from __future__ import annotations

import attrs
import numpy as np
import numpy.typing as npt
import pytest

from stoker.engine import SampledToken, SequenceJob, TokenConstraint
from stoker.events import FinishReason
from stoker.logits.answering import Answering
from stoker.logits.sampler import Sampler
from stoker.sampling import DEFAULT_SAMPLING, SamplingParams
from stoker.token_stream import TokenStream

END = 7
LOGITS = np.array([0, 5, 4, 3, 2, 1, 0, -1], dtype=np.float32)


@attrs.define
class Path(TokenConstraint):
    """Allows sets of tokens, one after the other; a set of one is forced."""

    steps: list[set[int]]

    def mask(self) -> bytes:
        return sum(1 << token for token in self.steps[0]).to_bytes(4, "little")

    def accept(self, token: int) -> bool:
        assert token in self.steps.pop(0)
        return not self.steps

    def forced(self) -> tuple[int, ...]:
        found = []
        for step in self.steps:
            if len(step) > 1:
                break
            found += step
        return tuple(found)


def stream_of(*steps: set[int], max_tokens: int = 9, **sampling: object) -> TokenStream:
    """A sequence that must keep to some steps, if there are any."""
    params = SamplingParams(temperature=0.0, **sampling).over(DEFAULT_SAMPLING)  # type: ignore[arg-type]
    constraint = Path(list(steps)) if steps else None
    return TokenStream(SequenceJob(1, (3,), params, max_tokens, constraint=constraint), 0)


@pytest.fixture
def answering() -> Answering:
    return Answering(vocabulary_size=8, ends_generation=END.__eq__)


def logits() -> npt.NDArray[np.float32]:
    return LOGITS


def unwanted() -> npt.NDArray[np.float32]:
    raise AssertionError("logits were asked for that nobody needs")


def test_the_best_token_needs_no_logits(answering: Answering) -> None:
    """It is known already; also when a constraint allows it."""

    assert 1 == answering.choose(stream_of(), unwanted, 1, 5.0)
    assert 1 == answering.choose(stream_of({1, 2}), unwanted, 1, 5.0)


def test_a_constraint_picks_the_best_that_is_allowed(answering: Answering) -> None:
    """The best of all is passed over, and what is forced is not looked for."""

    assert 2 == answering.choose(stream_of({2, 3}), logits, 1, 5.0)
    assert 6 == answering.choose(stream_of({6}), unwanted, 1, 5.0)


def test_draws_keep_to_a_constraint(answering: Answering) -> None:
    """A sequence with a sampler draws among the allowed tokens."""
    stream = stream_of({4, 5})
    params = SamplingParams(temperature=1.0, seed=1).over(DEFAULT_SAMPLING)
    stream.sampler = Sampler(params, prompt=(3,))

    assert {4, 5} == {answering.choose(stream, logits, 1, 5.0) for _ in range(40)}


def test_tokens_are_taken_until_the_end(answering: Answering) -> None:
    """An end token is no token of the answer; the limit and a complete form end it with theirs."""
    stream, tokens = stream_of(max_tokens=2), list[SampledToken]()

    assert FinishReason.STOP is answering.take(stream, END, logits, tokens)
    assert answering.take(stream, 1, logits, tokens) is None
    assert FinishReason.LENGTH is answering.take(stream, 2, logits, tokens)
    assert [1, 2] == [token.id for token in tokens]
    assert [3, 1, 2] == stream.tokens.tolist()
    assert FinishReason.STOP is answering.take(stream_of({1}), 1, logits, [])


def test_log_probabilities_are_told_when_wanted(answering: Answering) -> None:
    """Those of the token and of the best ones."""
    tokens: list[SampledToken] = []
    answering.take(stream_of(logprobs=2), 2, logits, tokens)

    assert [1, 2] == [token for token, _ in tokens[0].top]
    assert tokens[0].top[1][1] == tokens[0].logprob


def test_what_is_forced_is_taken_at_once(answering: Answering) -> None:
    """So many tokens at most, and none where log probabilities are wanted."""
    steps = ({1}, {2}, {3}, {1, 2})
    for most, expected in ((9, [1, 2, 3]), (2, [1, 2]), (0, [])):
        tokens: list[SampledToken] = []
        assert answering.jump(stream_of(*steps), tokens, most=most) is None
        assert expected == [token.id for token in tokens]
    tokens = []
    answering.jump(stream_of(*steps, logprobs=0), tokens, most=9)
    assert [] == tokens
    assert FinishReason.STOP is answering.jump(stream_of({1}), tokens, most=9)
    assert FinishReason.LENGTH is answering.jump(stream_of(*steps, max_tokens=1), tokens, most=9)
