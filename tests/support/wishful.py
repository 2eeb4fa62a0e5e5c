"""An engine that wishes to write what its script says, and obeys its constraints all the same.

Its tokens are bytes and control tokens. So the whole text pipeline can be tested with it:
templates, parsers, forced calls, thinking.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import attrs

from stoker.engine import (
    Engine,
    EngineInfo,
    SampledToken,
    SequenceJob,
    SequenceOutput,
    Vocabulary,
)
from stoker.events import FinishReason

END = "<|im_end|>"
CONTROL = (END, "<|im_start|>", "<think>", "</think>", "<tool_call>", "</tool_call>")

_ENDINGS = b'"}]0{'
"""What brings JSON to an end soonest, best first."""

Script = Callable[[str], str]
"""From a prompt to what the model wishes to answer; control tokens are spelled out."""


@attrs.define
class _Running:
    job: SequenceJob
    wishes: list[int]
    prefilled: bool = False
    produced: int = 0


class WishfulEngine(Engine):
    """Takes the next wish where it may, else what is forced, else what ends its answer soonest.

    A wish that was not granted stays the next one, and what is forced takes the wishes that it
    equals. So a script that fits its constraint is written to the letter.
    """

    def __init__(
        self,
        script: Script,
        *,
        chat_template: str,
        control: Sequence[str] = CONTROL,
        context_length: int = 4096,
        masks: bool = True,
    ) -> None:
        self._script = script
        self._control = tuple(control)
        self._masks = masks
        self._info = EngineInfo(
            context_length=context_length,
            vocabulary_size=256 + len(self._control),
            chat_template=chat_template,
            special_tokens={"bos_token": "", "eos_token": END},
        )
        self._pattern = re.compile(f"({'|'.join(map(re.escape, self._control))})")
        self._running: dict[int, _Running] = {}
        self.prompts: list[str] = []

    @property
    def info(self) -> EngineInfo:
        """What was loaded."""
        return self._info

    def encode(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Bytes, and control tokens where they are looked for."""
        del add_special
        if not parse_special:
            return list(text.encode())
        return [
            token
            for part in self._pattern.split(text)
            for token in (
                [256 + self._control.index(part)] if part in self._control else part.encode()
            )
        ]

    def token_bytes(self, token: int) -> bytes:
        """A byte, or nothing."""
        if not 0 <= token < self._info.vocabulary_size:
            raise IndexError(token)
        return bytes([token]) if token < 256 else b""

    def vocabulary(self) -> Vocabulary | None:
        """All tokens."""
        if not self._masks:
            return None
        pieces = [self.token_bytes(token) for token in range(self._info.vocabulary_size)]
        return Vocabulary(pieces, frozenset({256}), dict(enumerate(self._control, 256)))

    def submit(self, job: SequenceJob) -> None:
        """Ask the script."""
        names = {256 + number: text.encode() for number, text in enumerate(self._control)}
        data = b"".join(names.get(token) or self.token_bytes(token) for token in job.prompt)
        prompt = data.decode()
        self.prompts.append(prompt)
        wishes = self.encode(self._script(prompt), add_special=False, parse_special=True)
        self._running[job.id] = _Running(job, [*wishes, 256])

    def cancel(self, sequence_id: int) -> None:
        """Forget it."""
        self._running.pop(sequence_id, None)

    def step(self) -> list[SequenceOutput]:
        """One token for each."""
        return [self._advance(running) for running in list(self._running.values())]

    def _advance(self, running: _Running) -> SequenceOutput:
        job = running.job
        if not running.prefilled:
            running.prefilled = True
            return SequenceOutput(job.id, prefilled=len(job.prompt))
        token = self._next(running)
        if token == 256:
            del self._running[job.id]
            return SequenceOutput(job.id, finish=FinishReason.STOP)
        running.produced += 1
        finish = None
        if job.constraint is not None and job.constraint.accept(token):
            finish = FinishReason.STOP
        elif running.produced == job.max_tokens:
            finish = FinishReason.LENGTH
        if finish is not None:
            del self._running[job.id]
        logprob = None if job.sampling.logprobs is None else -0.5
        return SequenceOutput(job.id, tokens=(SampledToken(token, logprob),), finish=finish)

    def _next(self, running: _Running) -> int:
        constraint, wish = running.job.constraint, running.wishes[0]
        token = wish
        if constraint is not None:
            forced = constraint.forced()
            if forced:
                token = forced[0]
                assert constraint.allows(token)
            elif not constraint.allows(wish):
                mask = constraint.mask()
                every = range(self._info.vocabulary_size)
                allowed = [i for i in every if mask[i >> 3] >> (i & 7) & 1]
                token = min(allowed, key=lambda i: (_rank(i, ends=wish == 256), -i))
            else:
                assert constraint.mask()[wish >> 3] >> (wish & 7) & 1
        if token == wish and wish != 256:
            running.wishes.pop(0)
        return token

    @property
    def idle(self) -> bool:
        """Whether nothing runs."""
        return not self._running

    def close(self) -> None:
        """Forget everything."""
        self._running.clear()


def _rank(token: int, *, ends: bool) -> int:
    """How soon a token brings an answer to its end; control tokens end what is no JSON."""
    if token >= 256:
        return -1 if ends else len(_ENDINGS)
    return _ENDINGS.index(token) if token in _ENDINGS else len(_ENDINGS) + 1
