"""A soak with a real model: what was answered is scored again, token by token, when all is over."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Any

import httpx
from judges import Judge
from soaking import Action, Soak
from stoker_process import Home, Server

NAME = "soak/real"
BUDGET_BYTES = 2**30
_PROMPTS = (
    "The number {} is on the door of a house by the sea. In this house",
    "A letter with the number {} came in the morning, and it said",
    "Here is a list of {} things that a baker needs: flour,",
)


def make_real_home(folder: Path, model: Path) -> Home:
    """A home with a model: a GGUF file, or a folder for MLX."""
    options = {"CONTEXT_LENGTH": "1024", "CACHE_TOKENS": "2048"}
    backend, kind = ("MLX", "--directory") if model.is_dir() else ("LLAMA_CPP", "--weights")
    environ = {f"STOKER_BACKENDS__{backend}__{name}": text for name, text in options.items()}
    environ["STOKER_MEMORY__BUDGET"] = f"{BUDGET_BYTES}B"
    home = Home(folder / "home", environ)
    home.path.mkdir()
    home.ok("package", NAME, kind, str(model))
    return home


class ScoredSoak(Soak):
    """Clients that ask, leave, kill and unload; every answer that came whole is kept."""

    names = (NAME,)
    budget_bytes = BUDGET_BYTES

    def __init__(self, server: Server, judge: Judge, *, clients: int, seed: int) -> None:
        """Know the model.

        Args:
            server: Has the model as `NAME`.
            judge: Of what it answers.
            clients: How many at once.
            seed: Decides what they do.
        """
        super().__init__(server, clients=clients, seed=seed)
        self._model = judge
        self._answers: list[tuple[list[int], list[int]]] = []

    def score(self) -> int:
        """Compute all answers again, and report those that are wrong; gives how many there were."""
        judge = self._model
        pieces = {token: piece for piece, token in judge.tokens.items()}
        for prompt, answer in self._answers:
            worst = judge.worst(prompt, answer)
            if worst > judge.near_tie:
                text = b"".join(map(pieces.__getitem__, answer)).decode(errors="replace")
                self.report.wrong.append(f"a token of {text!r} is off by {worst:.3g}")
        judge.close()
        return len(self._answers)

    def _actions(self) -> dict[Action, int]:
        return {self._ask: 75, self._leave: 22, self._kill: 1, self._unload: 1}

    def _body(self, choose: random.Random, **fields: Any) -> dict[str, Any]:
        text = choose.choice(_PROMPTS).format(choose.randrange(10**6))
        bans = {str(token): -100 for token in self._model.banned}
        return {
            "model": NAME,
            "prompt": list(self._model.encode(text)),
            "temperature": 0,
            "max_tokens": choose.randint(1, 24),
            **({"logit_bias": bans} if bans else {}),
            **fields,
        }

    async def _ask(self, client: httpx.AsyncClient, choose: random.Random) -> str:
        body = self._body(choose, logprobs=0)
        answer = await client.post("/v1/completions", json=body)
        if answer.status_code != httpx.codes.OK:
            return self._judge_error(answer.status_code, answer.text)
        (choice,) = answer.json()["choices"]
        if choice["logprobs"] is not None:
            tokens = [self._model.tokens[_bytes(name)] for name in choice["logprobs"]["tokens"]]
            self._answers.append((body["prompt"], tokens))
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
