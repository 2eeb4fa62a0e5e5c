"""A soak: many clients that do all that clients do, on more models than fit into the memory budget.

The engine is scripted, so every answer is known to the letter. `bench/soak.py` runs it long,
`tests/e2e/test_soak.py` short.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import runpy
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import attrs
import httpx
import msgspec
import psutil
from stoker_process import FAULTY, Home, Server

from stoker.control.client import ControlClient
from stoker.errors import StokerError

# By its path: on the path of modules its folder would be an installed plugin.
_FAULTY = runpy.run_path(str(FAULTY / "stoker_faulty.py"))
MEDIA_TYPE: str = _FAULTY["MEDIA_TYPE"]
_script: Callable[[str, str], str] = _FAULTY["script"]

MIB = 1024 * 1024
TEXTS = {f"soak/model-{letter}": f"{letter} says what {letter} always says" for letter in "abc"}
NEED_BYTES = 120 * MIB
BALLAST_BYTES = 64 * MIB
BUDGET_BYTES = 2 * NEED_BYTES + 10 * MIB
MORE_HANDLES = 2
MORE_MEMORY = 1.05
HANG_S = 90.0
QUIET_S = 15.0
MOST_LINES = 50


@attrs.frozen
class Resources:
    """What the server's process has, when nobody asks it for anything and nothing is loaded."""

    descriptors: int
    threads: int
    children: int
    rss_mib: float

    @classmethod
    def of(cls, process: psutil.Process) -> Resources:
        """Look at a process now."""
        return cls(
            descriptors=process.num_fds(),
            threads=process.num_threads(),
            children=len(process.children(recursive=True)),
            rss_mib=process.memory_info().rss / MIB,
        )

    def growth(self, early: Resources) -> list[str]:
        """What there is more of than before, in words; little is no growth."""
        limits = {
            "descriptors": early.descriptors + MORE_HANDLES,
            "threads": early.threads + MORE_HANDLES,
            "children": early.children,
            "rss_mib": early.rss_mib * MORE_MEMORY,
        }
        return [
            f"{name} grew from {getattr(early, name):g} to {getattr(self, name):g}"
            for name, limit in limits.items()
            if getattr(self, name) > limit
        ]


@attrs.define
class Report:
    """What happened."""

    outcomes: Counter[str] = attrs.field(factory=Counter)
    wrong: list[str] = attrs.field(factory=list)
    """What must not happen, in words."""
    most_mib: float = 0.0
    """The most memory that all runners were seen to have together."""
    early: Resources | None = None
    late: Resources | None = None


def tell(problems: Sequence[str]) -> int:
    """Print what went wrong, of much the first; gives the exit code."""
    for problem in problems[:MOST_LINES]:
        print(f"WRONG: {problem}")
    print(f"{len(problems)} problems")
    return int(bool(problems))


def make_home(folder: Path) -> Home:
    """A home with the three models, in a budget for two."""
    environ = {
        "PYTHONPATH": str(FAULTY),
        "STOKER_MEMORY__BUDGET": f"{BUDGET_BYTES}B",
        "STOKER_MEMORY__WAIT_TIMEOUT_S": "30",
        "STOKER_DEFAULTS__STEP_TIMEOUT_S": "20",
        "STOKER_BACKENDS__FAULTY__NEED_BYTES": str(NEED_BYTES),
        "STOKER_BACKENDS__FAULTY__BALLAST_BYTES": str(BALLAST_BYTES),
        "STOKER_BACKENDS__FAULTY__DELAY_S": "0.002",
    }
    home = Home(folder / "home", environ)
    home.path.mkdir()
    for name, text in TEXTS.items():
        weights = folder / "weights.txt"
        weights.write_text(text)
        home.ok("package", name, "--weights", str(weights), "--media-type", MEDIA_TYPE)
    return home


Action = Callable[[httpx.AsyncClient, random.Random], Awaitable[str]]


class Soak:
    """One run against one server."""

    names: Sequence[str] = sorted(TEXTS)
    budget_bytes = BUDGET_BYTES

    def __init__(self, server: Server, *, clients: int, seed: int) -> None:
        self._server = server
        self._clients = clients
        self._random = random.Random(seed)
        self._control = ControlClient(server.home.path)
        self._process = psutil.Process(server.process.pid)
        self.report = Report()

    async def run(self, duration_s: float) -> Report:
        """Soak; a first fifth warms everything up that is made once and kept."""
        self.report.early = await self._phase(duration_s / 5)
        self.report.late = await self._phase(duration_s * 4 / 5)
        return self.report

    async def _phase(self, duration_s: float) -> Resources:
        until_s = time.monotonic() + duration_s
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with httpx.AsyncClient(
            base_url=self._server.url, timeout=HANG_S, limits=limits
        ) as client:
            watch = asyncio.create_task(self._watch_memory())
            seeds = [self._random.random() for _ in range(self._clients)]
            await asyncio.gather(*(self._client(client, seed, until_s) for seed in seeds))
            watch.cancel()
        return await self._quiet()

    async def _quiet(self) -> Resources:
        """Unload everything, wait until it is quiet, and look what is left."""
        for name in self.names:
            await self._control.unload(name)
        deadline_s = time.monotonic() + QUIET_S
        while self._resources().children and time.monotonic() < deadline_s:  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.2)
        await asyncio.sleep(1.0)
        return self._resources()

    def _resources(self) -> Resources:
        return Resources.of(self._process)

    async def _watch_memory(self) -> None:
        while True:
            total = 0
            for child in self._process.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    total += child.memory_info().rss
            self.report.most_mib = max(self.report.most_mib, total / MIB)
            if total > self.budget_bytes:
                self.report.wrong.append(f"runners had {total / MIB:.0f} MiB together")
            await asyncio.sleep(0.1)

    def _actions(self) -> dict[Action, int]:
        """What clients do, and how often of a hundred times."""
        return {
            self._ask: 35,
            self._stream: 35,
            self._leave: 12,
            self._send_nonsense: 8,
            self._crash: 1,
            self._kill: 1,
            self._unload: 1,
        }

    async def _client(self, client: httpx.AsyncClient, seed: float, until_s: float) -> None:
        choose = random.Random(seed)
        actions = self._actions()
        while time.monotonic() < until_s:
            (action,) = choose.choices(list(actions), weights=list(actions.values()))
            try:
                outcome = await asyncio.wait_for(action(client, choose), HANG_S)
            except TimeoutError:
                outcome = "hang"
                self.report.wrong.append(f"{_name(action)} hung")
            except (httpx.HTTPError, StokerError) as exc:
                outcome = type(exc).__name__
                self.report.wrong.append(f"{_name(action)}: {outcome}: {exc}")
            self.report.outcomes[outcome] += 1

    async def _ask(self, client: httpx.AsyncClient, choose: random.Random) -> str:
        name, prompt, expected = _question(choose)
        answer = await client.post("/v1/completions", json={"model": name, "prompt": prompt})
        return self._judge(answer, expected)

    def _judge(self, answer: httpx.Response, expected: str) -> str:
        if answer.status_code == httpx.codes.OK:
            text = answer.json()["choices"][0]["text"]
            if text != expected:
                self.report.wrong.append(f"expected {expected!r}, got {text!r}")
            return "answered"
        return self._judge_error(answer.status_code, answer.text)

    def _judge_error(self, status: int, text: str) -> str:
        """Errors are fine that kills, unloads and a full machine explain."""
        if status != httpx.codes.SERVICE_UNAVAILABLE:
            self.report.wrong.append(f"status {status}: {text[:200]}")
        return f"error {status}"

    async def _stream(self, client: httpx.AsyncClient, choose: random.Random) -> str:
        name, prompt, expected = _question(choose)
        body = {"model": name, "prompt": prompt, "stream": True}
        async with client.stream("POST", "/v1/completions", json=body) as answer:
            if answer.status_code != httpx.codes.OK:
                return self._judge_error(answer.status_code, (await answer.aread()).decode())
            text, end = await _read(answer)
        if end == "[DONE]" and text == expected:
            return "streamed"
        if end == "error" and expected.startswith(text):
            return "broken off"
        self.report.wrong.append(f"expected {expected!r}, got {text!r}, then {end!r}")
        return "wrong"

    async def _leave(self, client: httpx.AsyncClient, choose: random.Random) -> str:
        """Go away in the middle, or even before anything has come."""
        name, prompt, expected = _question(choose)
        prompt = choose.choice([prompt, "for ever"])
        body = {"model": name, "prompt": prompt, "stream": True}
        with contextlib.suppress(TimeoutError):
            async with (
                asyncio.timeout(choose.uniform(0.01, 2.0)),
                client.stream("POST", "/v1/completions", json=body) as answer,
            ):
                text, _ = await _read(answer)
                if prompt != "for ever" and not expected.startswith(text):
                    self.report.wrong.append(f"expected {expected!r}, got {text!r}")
        return "left"

    async def _send_nonsense(self, client: httpx.AsyncClient, choose: random.Random) -> str:
        body, status = choose.choice(
            [
                (b'{"model": "soak/model-a", "prompt": ', 400),
                (b'{"model": "soak/model-a", "prompt": "x", "max_tokens": 0}', 400),
                (b'{"model": "soak/none", "prompt": "x"}', 404),
                (b"\xff\xfe", 400),
            ]
        )
        headers = {"content-type": "application/json"}
        answer = await client.post("/v1/completions", content=body, headers=headers)
        if answer.status_code != status:
            self.report.wrong.append(f"nonsense got {answer.status_code}: {answer.text[:200]}")
        return "refused"

    async def _crash(self, client: httpx.AsyncClient, choose: random.Random) -> str:
        """A request that takes its runner with it."""
        body = {
            "model": choose.choice(sorted(TEXTS)),
            "prompt": choose.choice(["kill", "exit", "segfault", "raise"]),
        }
        answer = await client.post("/v1/completions", json=body)
        if answer.status_code not in {500, 503}:
            self.report.wrong.append(f"a crash got {answer.status_code}: {answer.text[:200]}")
        return "crashed"

    async def _kill(self, client: httpx.AsyncClient, choose: random.Random) -> str:
        del client
        runners = (await self._control.status()).runners
        pids = [runner.pid for runner in runners if runner.pid is not None]
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(choose.choice(pids), signal.SIGKILL)
        return "killed"

    async def _unload(self, client: httpx.AsyncClient, choose: random.Random) -> str:
        del client
        await self._control.unload(choose.choice(self.names))
        return "unloaded"


def _name(action: Action) -> str:
    return getattr(action, "__name__", str(action))


def _question(choose: random.Random) -> tuple[str, str, str]:
    """A model, a prompt that nobody else sends, and the right answer."""
    name = choose.choice(sorted(TEXTS))
    words = " ".join(str(choose.randrange(10**9)) for _ in range(choose.randint(1, 12)))
    prompt = f"repeat {words}"
    return name, prompt, _script(TEXTS[name], prompt)


async def _read(answer: httpx.Response) -> tuple[str, str]:
    """The text of a stream, and how it ended."""
    text, end = "", "nothing"
    async for line in answer.aiter_lines():
        data = line.removeprefix("data: ")
        if data == "[DONE]":
            end = data
        elif data.startswith("{"):
            event = msgspec.json.decode(data)
            if "error" in event:
                end = "error"
            else:
                text += "".join(choice["text"] for choice in event["choices"])
    return text, end
