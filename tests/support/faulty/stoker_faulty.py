"""A backend that goes wrong on request, for tests of what surrounds engines.

Its weights are a text file; the model's answer is that text, word by word. The last user message
(or plain prompt) may be a command instead: see `_answer`. `script` says what the right answer is.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

import stoker
from stoker.artifact import ModelBundle
from stoker.backend import BackendSpec, LoadProgress, always_available
from stoker.engine import EngineInfo, TextEngine
from stoker.errors import LoadError, OutOfMemoryError
from stoker.estimate import DeviceNeed, MemoryEstimate
from stoker.formats import FormatRule
from stoker.media_types import MediaType, Role
from stoker.request import ChatPrompt, GenerateRequest, TextPrompt

MEDIA_TYPE = MediaType("application/vnd.stoker.test.faulty")


class FaultyOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How loading goes."""

    load: str = "ok"
    """`ok`, `refuse`, `raise`, `exit`, `kill`, `hang`, `slow`, `memory`, `memory-once`, `flood` or
    `child`."""
    delay_s: float = 0.0
    """Time that each word takes."""
    notes: str = ""
    """A folder where loads leave files: `child` the id of a process that it started."""
    need_bytes: int = 0
    """What the estimate says."""
    ballast_bytes: int = 0
    """What it truly takes."""
    context_length: int | None = None
    max_sequences: int | None = None


class FaultyEngine(TextEngine):
    """Answers with its text, or goes wrong as told."""

    def __init__(self, text: str, options: Any) -> None:
        self._text = text
        self._delay_s = options.delay_s
        self._context_length = options.context_length or 1000
        self._max_sequences = options.max_sequences
        # Written to, or the system would give no memory for it.
        self._ballast = bytearray(b"x") * options.ballast_bytes

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(
            context_length=self._context_length,
            vocabulary_size=0,
            devices=("test",),
            max_sequences=self._max_sequences,
        )

    def generate(self, request: GenerateRequest, *, index: int) -> Iterator[str]:
        return self._answer(_prompt(request))

    def _answer(self, prompt: str) -> Iterator[str]:
        words = script(self._text, prompt).split()
        if prompt == "for ever":
            while True:
                time.sleep(self._delay_s or 0.01)
                yield "again "
        for number, word in enumerate(words):
            time.sleep(self._delay_s)
            yield word + " "
            if number == 0:
                _misbehave(prompt)

    def close(self) -> None:
        pass


def script(text: str, prompt: str) -> str:
    """The answer of a model: its text, and what it was asked to repeat, a space after each word."""
    repeated = prompt.removeprefix("repeat ") if prompt.startswith("repeat ") else ""
    return "".join(word + " " for word in [*text.split(), *repeated.split()])


def _misbehave(prompt: str) -> None:
    match prompt:
        case "segfault":
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "raise":
            raise RuntimeError("told to raise")
        case "chatter":
            os.write(1, b"garbage on stdout\n" * 100_000)
            os.write(2, b"x" * 1_000_000)
        case "hang":
            print("hangs now", file=sys.stderr, flush=True)
            time.sleep(600)


def _prompt(request: GenerateRequest) -> str:
    match request.prompt:
        case ChatPrompt(messages):
            return messages[-1].text
        case TextPrompt(text):
            return text
    return ""


def load(bundle: ModelBundle, options: Any, progress: LoadProgress) -> FaultyEngine:  # noqa: C901 - a list of ways to fail
    match options.load:
        case "refuse":
            raise LoadError("told to refuse")
        case "raise":
            raise RuntimeError("told to raise")
        case "exit":
            print("last words of the engine", file=sys.stderr)
            os._exit(3)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(600)
        case "memory":
            raise OutOfMemoryError("told to have no memory")
        case "memory-once":
            marker = Path(options.notes) / "memory"
            if not marker.exists():
                marker.touch()
                raise OutOfMemoryError("told to have no memory")
        case "flood":
            os.write(2, b"a line of a flood\n" * 200_000 + b"the last line of the flood\n")
            os._exit(4)
        case "child":
            # It has the runner's output open, and its socket.
            sleeper = subprocess.Popen(["sleep", "600"], close_fds=False)
            (Path(options.notes) / "child").write_text(str(sleeper.pid))
        case "slow":
            for number in range(20):
                progress("stirring", number / 20)
                time.sleep(0.02)
    return FaultyEngine(Path(bundle.weights[0]).read_text(), options)


def estimate(bundle: ModelBundle, options: Any) -> MemoryEstimate:
    needs = (DeviceNeed(weights_bytes=options.need_bytes),)
    return MemoryEstimate(
        needs=lambda length: needs,
        max_context_length=1000,
        context_length=options.context_length,
        configure=lambda given, length: msgspec.structs.replace(given, context_length=length),
    )


@stoker.hookimpl
def stoker_register_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            "faulty",
            (MEDIA_TYPE,),
            load,
            probe=always_available,
            options_type=FaultyOptions,
            estimate=estimate,
        )
    ]


@stoker.hookimpl
def stoker_register_formats() -> list[FormatRule]:
    return [FormatRule(Role.WEIGHTS, media_type=MEDIA_TYPE)]
