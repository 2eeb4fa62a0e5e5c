"""Masks of engines: sampling among the tokens that a constraint allows."""

from __future__ import annotations

from collections.abc import Iterable

import attrs
import pytest

from stoker.engine import Engine, TokenConstraint
from stoker.errors import InvalidRequestError, StokerError
from stoker.events import FinishReason
from stoker.testing.engine_jobs import GREEDY, EngineTests, run, tokens_of


class Places(TokenConstraint):
    """Allows certain tokens in each place of an answer; past the last the answer is complete.

    Attributes:
        accepted: The tokens so far.
    """

    def __init__(
        self,
        *places: Iterable[int],
        vocabulary_size: int,
        complete: bool = True,
        fail_at: int = -1,
    ) -> None:
        """Say what is allowed.

        Args:
            *places: The allowed tokens of each place.
            vocabulary_size: How many tokens the engine has.
            complete: Say so after the last place.
            fail_at: The place in which making the mask fails.
        """
        self._places = [frozenset(place) for place in places]
        self._mask_bytes = -(-vocabulary_size // 32) * 4
        self._complete = complete
        self._fail_at = fail_at
        self.accepted: list[int] = []

    def mask(self) -> bytes:
        """The bits of the present place."""
        place = len(self.accepted)
        if place == self._fail_at:
            raise InvalidRequestError("The constraint became too complex.", param="constraint")
        bits = sum(1 << token for token in self._places[place])
        return bits.to_bytes(self._mask_bytes, "little")

    def accept(self, token: int) -> bool:
        """Remember the token."""
        self.accepted.append(token)
        return self._complete and len(self.accepted) == len(self._places)


class EngineMasks(EngineTests):
    """Sampling among the tokens that a constraint allows."""

    @pytest.mark.parametrize("temperature", [0.0, 1.0])
    def test_masks_are_honoured(self, engine: Engine, temperature: float) -> None:
        """Only allowed tokens are sampled, each is accepted, and the last ends the sequence.

        The others, which have no constraint, are not touched by it.

        To mend it: set the logits of forbidden tokens to minus infinity before sampling,
        and call `accept` with what was taken.
        """
        if not self.supports_constraints:
            return
        places = self._places(engine)
        constraint = Places(*places, vocabulary_size=engine.info.vocabulary_size)
        sampling = attrs.evolve(GREEDY, temperature=temperature, seed=1)
        engine.submit(self.job(engine, 1, sampling=sampling, constraint=constraint))
        engine.submit(self.job(engine, 2, max_tokens=4))
        outputs = run(engine)
        tokens = tokens_of(outputs, 1)

        assert [True] * len(places) == [
            token in place for token, place in zip(tokens, places, strict=True)
        ]
        assert constraint.accepted == tokens
        assert [FinishReason.STOP] == [item.finish for item in outputs if item.id == 1][-1:]
        assert 4 == len(tokens_of(outputs, 2))

    def test_a_limit_cuts_a_constrained_answer(self, engine: Engine) -> None:
        """An answer that is not complete at `max_tokens` ends for its length.

        To mend it: check `max_tokens` whether there is a constraint or not.
        """
        if not self.supports_constraints:
            return
        size = engine.info.vocabulary_size
        constraint = Places(*self._places(engine), vocabulary_size=size, complete=False)
        engine.submit(self.job(engine, max_tokens=2, constraint=constraint))
        outputs = run(engine)

        assert 2 == len(constraint.accepted)
        assert constraint.accepted == tokens_of(outputs, 1)
        assert FinishReason.LENGTH is outputs[-1].finish

    def test_a_mask_may_allow_the_end(self, engine: Engine) -> None:
        """Where only end tokens are allowed, the sequence stops, and they are not its tokens.

        To mend it: end the sequence by an end token and neither accept nor report it.
        """
        vocabulary = engine.vocabulary()
        if vocabulary is None:
            return
        first = self._places(engine)[0]
        size = engine.info.vocabulary_size
        constraint = Places(first, vocabulary.end_tokens, vocabulary_size=size, complete=False)
        engine.submit(self.job(engine, constraint=constraint))
        outputs = run(engine)

        assert constraint.accepted == tokens_of(outputs, 1)
        assert 1 == len(constraint.accepted)
        assert FinishReason.STOP is outputs[-1].finish

    def test_a_constraint_that_fails_fails_its_sequence_only(self, engine: Engine) -> None:
        """An error of `mask` is the sequence's error, and the others go on.

        To mend it: catch `StokerError` around `mask` and `accept`, and put it into the
        sequence's output.
        """
        if not self.supports_constraints:
            return
        size = engine.info.vocabulary_size
        constraint = Places(*self._places(engine), vocabulary_size=size, fail_at=1)
        engine.submit(self.job(engine, 1, constraint=constraint))
        engine.submit(self.job(engine, 2, max_tokens=6))
        outputs = run(engine)

        errors = [item.error for item in outputs if item.error is not None]
        assert ["The constraint became too complex."] == [str(error) for error in errors]
        assert all(isinstance(error, StokerError) for error in errors)
        assert 6 == len(tokens_of(outputs, 2))

    def _places(self, engine: Engine) -> list[set[int]]:
        """Tokens for three places that the model would hardly come to by itself."""
        texts = ("xq", "7%", "Zk")
        return [set(engine.encode(text, add_special=False, parse_special=False)) for text in texts]
