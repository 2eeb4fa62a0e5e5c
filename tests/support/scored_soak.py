"""A soak with a real model: what was answered is scored again, token by token, when all is over."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Any

import httpx
from soaking import Action, Soak
from stoker_process import Home, Server

from stoker_llama_cpp import binding
from stoker_llama_cpp.options import LlamaCppOptions

NAME = "soak/real"
BUDGET_BYTES = 2**30
_PROMPTS = (
    "The number {} is on the door of a house by the sea. In this house",
    "A letter with the number {} came in the morning, and it said",
    "Here is a list of {} things that a baker needs: flour,",
)


def make_real_home(folder: Path, model: Path) -> Home:
    """A home with a real model."""
    options = {"CONTEXT_LENGTH": "1024", "CACHE_TOKENS": "2048", "THREADS": "2"}
    environ = {f"STOKER_BACKENDS__LLAMA_CPP__{name}": text for name, text in options.items()}
    environ["STOKER_MEMORY__BUDGET"] = f"{BUDGET_BYTES}B"
    home = Home(folder / "home", environ)
    home.path.mkdir()
    home.ok("package", NAME, "--weights", str(model))
    return home


class ScoredSoak(Soak):
    """Clients that ask, leave, kill and unload; every answer that came whole is kept."""

    names = (NAME,)
    budget_bytes = BUDGET_BYTES

    def __init__(self, server: Server, model: Path, *, clients: int, seed: int) -> None:
        """Read the model's tokens.

        Args:
            server: Has the model as `NAME`.
            model: Its file.
            clients: How many at once.
            seed: Decides what they do.
        """
        # Before llama.cpp is imported: what this sets for OpenMP is read but once.
        binding.load()
        from stoker_llama_cpp.model import load_model  # noqa: PLC0415 - imports llama.cpp

        super().__init__(server, clients=clients, seed=seed)
        self._model = load_model([model], LlamaCppOptions(threads=1), lambda *_: None)
        pieces = self._model.vocabulary.whole().token_bytes
        self._tokens = {piece: token for token, piece in enumerate(pieces) if piece}
        self._answers: list[tuple[tuple[int, ...], list[int]]] = []

    def score(self) -> int:
        """Compute all answers again, and report those that are wrong; gives how many there were."""
        from scoring import NEAR_TIE, margins  # noqa: PLC0415 - imports llama.cpp

        for prompt, answer in self._answers:
            worst = max(margins(self._model.handle, prompt, answer))
            if worst > NEAR_TIE:
                pieces = map(self._model.vocabulary.token_bytes, answer)
                text = b"".join(pieces).decode(errors="replace")
                self.report.wrong.append(f"a token of {text!r} is off by {worst:.1f}")
        self._model.close()
        return len(self._answers)

    def _actions(self) -> dict[Action, int]:
        return {self._ask: 75, self._leave: 22, self._kill: 1, self._unload: 1}

    def _body(self, choose: random.Random, **fields: Any) -> dict[str, Any]:
        text = choose.choice(_PROMPTS).format(choose.randrange(10**6))
        prompt = self._model.vocabulary.encode(text, add_special=True, parse_special=False)
        return {
            "model": NAME,
            "prompt": prompt,
            "temperature": 0,
            "max_tokens": choose.randint(1, 24),
            **fields,
        }

    async def _ask(self, client: httpx.AsyncClient, choose: random.Random) -> str:
        body = self._body(choose, logprobs=0)
        answer = await client.post("/v1/completions", json=body)
        if answer.status_code != httpx.codes.OK:
            return self._judge_error(answer.status_code, answer.text)
        (choice,) = answer.json()["choices"]
        if choice["logprobs"] is not None:
            tokens = [self._tokens[_bytes(name)] for name in choice["logprobs"]["tokens"]]
            self._answers.append((tuple(body["prompt"]), tokens))
        return "answered"

    async def _leave(self, client: httpx.AsyncClient, choose: random.Random) -> str:
        with contextlib.suppress(TimeoutError):
            async with (
                asyncio.timeout(choose.uniform(0.01, 2.0)),
                client.stream(
                    "POST", "/v1/completions", json=self._body(choose, stream=True)
                ) as answer,
            ):
                await answer.aread()
        return "left"


def _bytes(name: str) -> bytes:
    """The bytes of a token, by the name that it has among log probabilities."""
    if name.startswith("bytes:"):
        return bytes.fromhex(name.removeprefix("bytes:").replace("\\x", ""))
    return name.encode()
