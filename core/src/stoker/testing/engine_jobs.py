"""What the contract tests of engines are made with: jobs, and running them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stoker.engine import Engine, SequenceJob, SequenceOutput, TokenConstraint
from stoker.sampling import DEFAULT_SAMPLING, SamplingParams
from stoker.testing.loaded import LoadedContract

MAX_STEPS = 2000
"""After so many steps a sequence that does not end is called stuck."""

MANY = 40
"""More sequences than engines advance at once."""

GREEDY = SamplingParams(temperature=0.0).over(DEFAULT_SAMPLING)


def run(engine: Engine, *, until: Callable[[], bool] | None = None) -> list[SequenceOutput]:
    """Step until the engine is idle (or a condition holds) and return all outputs.

    Raises:
        AssertionError: It never gets there.
    """
    outputs: list[SequenceOutput] = []
    for _ in range(MAX_STEPS):
        if engine.idle or (until is not None and until()):
            return outputs
        outputs.extend(engine.step())
    raise AssertionError(f"The engine was still busy after {MAX_STEPS} steps.")


def tokens_of(outputs: Sequence[SequenceOutput], sequence_id: int) -> list[int]:
    """The tokens of one sequence, in order."""
    return [token.id for output in outputs if output.id == sequence_id for token in output.tokens]


class EngineTests(LoadedContract[Engine]):
    """Base of all tests of engines: what may be set, and jobs."""

    text = "The quick brown fox jumps over the lazy dog."
    """Something that the tokenizer can write and read back."""
    supports_logprobs = True
    """Unset it when the engine cannot tell probabilities and refuses to be asked."""
    logprob_margin = 0.5
    """How far log probabilities of one token may be apart, computed in batches of two shapes."""
    supports_constraints = True
    """Unset it when the engine cannot apply masks and has no `vocabulary`."""

    def job(
        self,
        engine: Engine,
        sequence_id: int = 1,
        *,
        text: str | None = None,
        max_tokens: int = 8,
        sampling: SamplingParams = GREEDY,
        ignore_end: bool = True,
        constraint: TokenConstraint | None = None,
    ) -> SequenceJob:
        """Make a job that continues the text."""
        prompt = engine.encode(text or self.text, add_special=True, parse_special=False)
        return SequenceJob(
            id=sequence_id,
            prompt=tuple(prompt),
            sampling=sampling,
            max_tokens=max_tokens,
            ignore_end=ignore_end and constraint is None,
            constraint=constraint,
        )
