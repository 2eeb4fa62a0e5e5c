"""A scripted engine with a byte-level tokenizer, and a checker of event streams."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import attrs
import pytest

from stoker.artifact import BundleFile, ModelBundle
from stoker.digest import Digest
from stoker.engine import (
    Engine,
    EngineInfo,
    InfillTokens,
    SampledToken,
    SequenceJob,
    SequenceOutput,
)
from stoker.errors import InvalidRequestError, StokerError
from stoker.events import (
    ChoiceFinished,
    Event,
    Failed,
    Finished,
    FinishReason,
    Prefill,
    TextDelta,
)
from stoker.media_types import Role
from stoker.reference import Reference

CONTROL = ("<s>", "</s>", "<|im_start|>", "<|im_end|>")
"""Tokens 256 and up; the others are the bytes."""

CHATML = (
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@attrs.define
class _Running:
    job: SequenceJob
    script: deque[int | StokerError]
    prefilled: int = 0
    produced: int = 0


class ScriptedEngine(Engine):
    """Answers the i-th job with the i-th script, over and over.

    A script is bytes (one token each), or token ids and at most one error at its end.
    """

    def __init__(
        self,
        *scripts: bytes | Sequence[int | StokerError],
        context_length: int = 1000,
        begin: bool = False,
        chunk: int = 16,
        tokens_per_step: int = 1,
        cached: int = 0,
        chat_template: str | None = CHATML,
        logprobs: bool = True,
        refuse_job: int | None = None,
        infill: InfillTokens | None = None,
    ) -> None:
        self._info = EngineInfo(
            context_length=context_length,
            vocabulary_size=256 + len(CONTROL),
            chat_template=chat_template,
            special_tokens={"bos_token": "<s>", "eos_token": "</s>"},
            infill=infill,
        )
        self.scripts = scripts
        self.begin = begin
        self.chunk = chunk
        self.tokens_per_step = tokens_per_step
        self.cached = cached
        self.logprobs = logprobs
        self.refuse_job = refuse_job
        self.jobs: list[SequenceJob] = []
        self.cancelled: list[int] = []
        self.running: dict[int, _Running] = {}
        self.closed = False
        self.broken = False

    @property
    def info(self) -> EngineInfo:
        return self._info

    def encode(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        tokens = [256] if add_special and self.begin else []
        while text:
            for number, control in enumerate(CONTROL):
                if parse_special and text.startswith(control):
                    tokens.append(256 + number)
                    text = text[len(control) :]
                    break
            else:
                tokens += text[0].encode()
                text = text[1:]
        return tokens

    def token_bytes(self, token: int) -> bytes:
        if not 0 <= token < 256 + len(CONTROL):
            raise IndexError(token)
        return bytes([token]) if token < 256 else b""

    def submit(self, job: SequenceJob) -> None:
        if self.refuse_job == len(self.jobs):
            raise InvalidRequestError("The engine refuses.", param="sampling")
        assert job.prompt
        assert len(job.prompt) + job.max_tokens <= self._info.context_length
        script = self.scripts[len(self.jobs) % len(self.scripts)] if self.scripts else b""
        self.jobs.append(job)
        self.running[job.id] = _Running(job, deque(script))

    def cancel(self, sequence_id: int) -> None:
        self.cancelled.append(sequence_id)
        self.running.pop(sequence_id, None)

    def step(self) -> list[SequenceOutput]:
        if self.broken:
            raise RuntimeError("the engine is broken")
        return [self._advance(running) for running in list(self.running.values())]

    def _advance(self, running: _Running) -> SequenceOutput:
        job = running.job
        if running.prefilled < len(job.prompt):
            first = running.prefilled == 0
            base = self.cached if first else running.prefilled
            running.prefilled = min(base + self.chunk, len(job.prompt))
            return SequenceOutput(
                job.id, prefilled=running.prefilled, cached=self.cached if first else 0
            )
        tokens: list[SampledToken] = []
        finish = None
        for _ in range(self.tokens_per_step):
            if not running.script:
                finish = FinishReason.STOP
                break
            item = running.script.popleft()
            if isinstance(item, StokerError):
                del self.running[job.id]
                return SequenceOutput(job.id, tokens=tuple(tokens), error=item)
            tokens.append(self._sampled(item, job))
            running.produced += 1
            if running.produced == job.max_tokens:
                finish = FinishReason.LENGTH
                break
        if finish is not None:
            del self.running[job.id]
        return SequenceOutput(job.id, tokens=tuple(tokens), finish=finish)

    def _sampled(self, token: int, job: SequenceJob) -> SampledToken:
        if job.sampling.logprobs is None or not self.logprobs:
            return SampledToken(token)
        top = tuple((other % 256, -1.0 - other) for other in range(job.sampling.logprobs))
        return SampledToken(token, logprob=-float(token), top=top)

    @property
    def idle(self) -> bool:
        return not self.running

    def close(self) -> None:
        self.closed = True


def _checked_stream(events: Iterable[Event], *, n: int = 1) -> list[Event]:
    """Check the documented order of a whole stream, and return it as a list."""
    events = list(events)
    assert events, "a stream has events"
    assert isinstance(events[-1], Finished | Failed)
    assert not any(isinstance(event, Finished | Failed) for event in events[:-1])
    if isinstance(events[-1], Failed):
        return events
    kinds = [type(event) for event in events]
    assert kinds[0] is Prefill
    begun = next(index for index, kind in enumerate(kinds) if kind is not Prefill)
    assert Prefill not in kinds[begun:]
    done = [event.done for event in events if isinstance(event, Prefill)]
    assert done == sorted(done)
    finished: set[int] = set()
    for event in events[begun:-1]:
        assert isinstance(event, TextDelta | ChoiceFinished)
        assert 0 <= event.index < n
        assert event.index not in finished, "nothing follows a choice's end"
        if isinstance(event, ChoiceFinished):
            finished.add(event.index)
        else:
            assert event.text or event.logprobs, "a delta carries something"
    assert finished == set(range(n))
    return events


@pytest.fixture(scope="session")
def scripted_engine() -> type[ScriptedEngine]:
    """The class of scripted engines."""
    return ScriptedEngine


@pytest.fixture(scope="session")
def checked_stream() -> Callable[..., list[Event]]:
    """The checker of event streams."""
    return _checked_stream


@pytest.fixture(scope="session")
def chatml() -> str:
    """The ChatML template, as SmolLM2 has it but for its default system message."""
    return CHATML


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., ModelBundle]:
    """Makes bundles, with a chat template of their own or without files."""

    def make(*, chat_template: bytes | None = None) -> ModelBundle:
        files: tuple[BundleFile, ...] = ()
        if chat_template is not None:
            path = tmp_path / "template.jinja"
            path.write_bytes(chat_template)
            files = (BundleFile(path, Role.CHAT_TEMPLATE, None),)
        return ModelBundle(Reference.parse("ai/scripted"), Digest.of(b""), files)

    return make
