"""Players: engines that run jobs and remember what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stoker.engine import SequenceJob, SequenceOutput
from stoker.events import FinishReason
from stoker.sampling import DEFAULT_SAMPLING, SamplingParams

JOB_FIELDS = {
    "max_tokens": 16,
    "ignore_end": True,
    "priority": 0,
    "constraint": None,
    "prompt_logprobs": None,
}


class Player:
    """Plays jobs on an engine.

    Attributes:
        engine: The engine.
        outputs: All that its steps gave.
    """

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.outputs: list[SequenceOutput] = []

    def encode(self, text: str) -> tuple[int, ...]:
        """The tokens of a text."""
        return tuple(self.engine.encode(text, add_special=True, parse_special=True))

    def submit(self, sequence_id: int, prompt: str | tuple[int, ...], **values: Any) -> SequenceJob:
        """Submit a job that takes the best tokens, unless the values say otherwise."""
        job = SequenceJob(
            id=sequence_id,
            prompt=self.encode(prompt) if isinstance(prompt, str) else prompt,
            **{name: values.pop(name, default) for name, default in JOB_FIELDS.items()},
            sampling=SamplingParams(**{"temperature": 0.0, **values}).over(DEFAULT_SAMPLING),
        )
        self.engine.submit(job)
        return job

    def step(self) -> list[SequenceOutput]:
        """Take one step."""
        outputs = list(self.engine.step())
        self.outputs += outputs
        return outputs

    def run(self, until: Callable[[], object] = lambda: False) -> None:
        """Step until the engine is idle or the condition holds."""
        for _ in range(3000):
            if self.engine.idle or until():
                return
            self.step()
        raise AssertionError("The engine was still busy after 3000 steps.")

    def tokens(self, sequence_id: int) -> list[int]:
        """A sequence's tokens so far."""
        return [
            token.id
            for output in self.outputs
            if output.id == sequence_id
            for token in output.tokens
        ]

    def text(self, sequence_id: int) -> str:
        """A sequence's text so far."""
        return b"".join(map(self.engine.token_bytes, self.tokens(sequence_id))).decode()

    def cached(self, sequence_id: int) -> int:
        """How much of a sequence's prompt was not computed."""
        return sum(output.cached for output in self.outputs if output.id == sequence_id)

    def finishes(self) -> Mapping[int, FinishReason]:
        """Why sequences ended, in the order in which they did."""
        return {output.id: output.finish for output in self.outputs if output.finish}
