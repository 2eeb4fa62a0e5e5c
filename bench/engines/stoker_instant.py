"""A backend that takes no time, so that all the time that a request takes is stoker's own.

Its tokens are bytes, and every answer goes on in the alphabet. It has a chat template, so a request
goes through the whole text pipeline. Its weights are any file.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import attrs
import msgspec

import stoker
from stoker.artifact import ModelBundle
from stoker.backend import BackendSpec, LoadProgress, always_available
from stoker.engine import Engine, EngineInfo, SampledToken, SequenceJob, SequenceOutput
from stoker.events import FinishReason
from stoker.formats import FormatRule
from stoker.media_types import MediaType, Role

MEDIA_TYPE = MediaType("application/vnd.stoker.bench.instant")
TEMPLATE = """\
{% for message in messages %}<{{ message.role }}>{{ message.content }}\n{% endfor %}
{%- if add_generation_prompt %}<assistant>{% endif %}"""
NAP_S = 0.01
LETTERS = tuple((SampledToken(ord(letter)),) for letter in "abcdefghijklmnopqrstuvwxyz ")


class InstantOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How it goes."""

    hold_s: float = 0.0
    """How long a sequence takes to its first token; the others are made at once."""
    max_sequences: int = 64


@attrs.define
class _Sequence:
    job: SequenceJob
    begins_s: float
    count: int = 0


class InstantEngine(Engine):
    """One token for every sequence in a step."""

    def __init__(self, options: InstantOptions) -> None:
        self._hold_s = options.hold_s
        self._info = EngineInfo(
            context_length=65536,
            vocabulary_size=256,
            chat_template=TEMPLATE,
            devices=("none",),
            max_sequences=options.max_sequences,
        )
        self._sequences: dict[int, _Sequence] = {}

    @property
    def info(self) -> EngineInfo:
        return self._info

    def encode(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        del add_special, parse_special
        return list(text.encode())

    def token_bytes(self, token: int) -> bytes:
        return bytes((token,))

    def submit(self, job: SequenceJob) -> None:
        self._sequences[job.id] = _Sequence(job, time.monotonic() + self._hold_s)

    def cancel(self, sequence_id: int) -> None:
        self._sequences.pop(sequence_id, None)

    def step(self) -> Sequence[SequenceOutput]:
        now_s = time.monotonic()
        outputs = [
            self._advance(sequence)
            for sequence in list(self._sequences.values())
            if sequence.begins_s <= now_s
        ]
        if self._sequences and not outputs:
            # What an engine that computes would need for one step.
            time.sleep(NAP_S)
        return outputs

    def _advance(self, sequence: _Sequence) -> SequenceOutput:
        job, sequence.count = sequence.job, sequence.count + 1
        tokens = LETTERS[sequence.count % len(LETTERS)]
        finish = None
        if sequence.count == job.max_tokens:
            finish = FinishReason.LENGTH
            del self._sequences[job.id]
        prefilled = len(job.prompt) if sequence.count == 1 else None
        return SequenceOutput(job.id, prefilled=prefilled, tokens=tokens, finish=finish)

    @property
    def idle(self) -> bool:
        return not self._sequences

    def close(self) -> None:
        self._sequences.clear()


def load(bundle: ModelBundle, options: Any, progress: LoadProgress) -> InstantEngine:
    del bundle, progress
    return InstantEngine(options)


@stoker.hookimpl
def stoker_register_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            "instant", (MEDIA_TYPE,), load, probe=always_available, options_type=InstantOptions
        )
    ]


@stoker.hookimpl
def stoker_register_formats() -> list[FormatRule]:
    return [FormatRule(Role.WEIGHTS, media_type=MEDIA_TYPE)]
