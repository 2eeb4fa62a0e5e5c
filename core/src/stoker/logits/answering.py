"""How the tokens of answers are chosen and taken: the rules that engines share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from stoker.engine import SampledToken, TokenConstraint
from stoker.events import FinishReason
from stoker.logits import sampler
from stoker.logits.logprobs import with_logprobs
from stoker.logits.mask import Mask
from stoker.token_stream import TokenStream

Row = Callable[[], npt.NDArray[np.float32]]
"""Gives the logits of a sequence's next token; called when they are needed, and only then."""


class Answering:
    """Goes on with the answers of one model."""

    def __init__(self, *, vocabulary_size: int, ends_generation: Callable[[int], bool]) -> None:
        """Know the model.

        Args:
            vocabulary_size: How many tokens it has.
            ends_generation: Whether the model says with a token that it has finished.
        """
        self._vocabulary_size = vocabulary_size
        self._ends_generation = ends_generation

    def choose(self, stream: TokenStream, row: Row, best: int, top: float) -> int:
        """Choose a sequence's next token.

        Args:
            stream: The sequence.
            row: Its logits.
            best: The token with the largest one; of no meaning to a sequence that draws.
            top: That logit.

        Raises:
            StokerError: The logits are no numbers, or the constraint became too complex.
        """
        constraint = stream.job.constraint
        if constraint is not None and (forced := constraint.forced()):
            return self._forced(stream, forced[0])
        if stream.sampler is not None:
            mask = None if constraint is None else self._mask(constraint)
            return stream.sampler.sample(row(), mask)
        sampler.check_best(np.float32(top))
        if constraint is None or constraint.allows(best):
            return best
        return self._mask(constraint).best(row())

    def take(
        self, stream: TokenStream, token: int, row: Row | None, tokens: list[SampledToken]
    ) -> FinishReason | None:
        """Take a token into a sequence and its output; tells why that was the last one.

        Args:
            stream: The sequence.
            token: The token.
            row: The logits that it was chosen by; None for one without a choice.
            tokens: Of the output.

        Raises:
            StokerError: The constraint became too complex.
        """
        job = stream.job
        if not job.ignore_end and self._ends_generation(token):
            return FinishReason.STOP
        stream.tokens.append(token)
        count = job.sampling.logprobs
        tokens.append(
            SampledToken(token)
            if count is None or row is None
            else with_logprobs(row(), token, count)
        )
        if job.constraint is not None and job.constraint.accept(token):
            return FinishReason.STOP
        return None if stream.left else FinishReason.LENGTH

    def jump(
        self, stream: TokenStream, tokens: list[SampledToken], *, most: int
    ) -> FinishReason | None:
        """Take the tokens that a constraint leaves no choice about, which needs no logits.

        Args:
            stream: The sequence.
            tokens: Of the output.
            most: How many, at most.

        Raises:
            StokerError: The constraint became too complex.
        """
        constraint = stream.job.constraint
        # Log probabilities are read from logits.
        if constraint is None or stream.job.sampling.logprobs is not None:
            return None
        end = len(tokens) + most
        while len(tokens) < end:
            forced = constraint.forced()
            if not forced:
                return None
            for token in forced[: end - len(tokens)]:
                finish = self.take(stream, self._forced(stream, token), None, tokens)
                if finish:
                    return finish
        return None

    def _mask(self, constraint: TokenConstraint) -> Mask:
        return Mask(constraint.mask(), vocabulary_size=self._vocabulary_size)

    @staticmethod
    def _forced(stream: TokenStream, token: int) -> int:
        """Tell a sampler of the only token that a constraint allows."""
        if stream.sampler is not None:
            stream.sampler.take(token)
        return token
