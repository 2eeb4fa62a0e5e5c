"""A backend that goes wrong on request, for tests of what surrounds engines.

Its weights are a text file; the model's answer is that text, word by word. The last user message
(or plain prompt) may be a command instead: see `_answer`.
"""

from __future__ import annotations

import os
import signal
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
from stoker.errors import LoadError
from stoker.formats import FormatRule
from stoker.media_types import MediaType, Role
from stoker.request import ChatPrompt, GenerateRequest, TextPrompt

MEDIA_TYPE = MediaType("application/vnd.stoker.test.faulty")


class FaultyOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How loading goes."""

    load: str = "ok"
    """`ok`, `refuse`, `raise`, `exit`, `kill`, `hang` or `slow`."""
    delay_s: float = 0.0
    """Time that each word takes."""


class FaultyEngine(TextEngine):
    """Answers with its text, or goes wrong as told."""

    def __init__(self, text: str, delay_s: float) -> None:
        self._text = text
        self._delay_s = delay_s

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(context_length=1000, vocabulary_size=0, devices=("test",))

    def generate(self, request: GenerateRequest, *, index: int) -> Iterator[str]:
        return self._answer(_prompt(request))

    def _answer(self, prompt: str) -> Iterator[str]:
        words = self._text.split()
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


def _misbehave(prompt: str) -> None:
    match prompt:
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
            time.sleep(600)


def _prompt(request: GenerateRequest) -> str:
    match request.prompt:
        case ChatPrompt(messages):
            return messages[-1].text
        case TextPrompt(text):
            return text
    return ""


def load(bundle: ModelBundle, options: Any, progress: LoadProgress) -> FaultyEngine:
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
        case "slow":
            for number in range(20):
                progress("stirring", number / 20)
                time.sleep(0.05)
    return FaultyEngine(Path(bundle.weights[0]).read_text(), options.delay_s)


@stoker.hookimpl
def stoker_register_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            "faulty", (MEDIA_TYPE,), load, probe=always_available, options_type=FaultyOptions
        )
    ]


@stoker.hookimpl
def stoker_register_formats() -> list[FormatRule]:
    return [FormatRule(Role.WEIGHTS, media_type=MEDIA_TYPE)]
