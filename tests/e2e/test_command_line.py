"""The command as people use it, alone and beside a running server."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time

import attrs
import msgspec
import openai
import psutil
import pytest
from stoker_process import MODEL, Home, Server

pytestmark = pytest.mark.model

GREEDY = ("--temperature", "0", "--max-tokens", "20")


def test_run_answers_without_a_server(own_home: Home) -> None:
    """A prompt as argument, and one from standard input."""

    assert "Paris" in own_home.ok(
        "run", MODEL, "What is the capital of France? Answer in one sentence.", *GREEDY
    )
    assert "Paris" in own_home.ok(
        "run", MODEL, *GREEDY, text="What is the capital of France? Answer in one sentence."
    )
    assert [] == msgspec.json.decode(own_home.ok("ps", "--json"))["runners"]


def test_run_ps_and_stop_talk_to_the_server(own_home: Home) -> None:
    """`run` uses the loaded model, `ps` shows it, `stop` unloads it."""
    with own_home.serve():
        assert "Paris" in own_home.ok(
            "run", MODEL, "What is the capital of France? Answer in one sentence.", *GREEDY
        )

        (runner,) = msgspec.json.decode(own_home.ok("ps", "--json"))["runners"]
        assert (MODEL, "llama.cpp") == (runner["model"], runner["backend"])
        assert MODEL in own_home.ok("ps")

        own_home.ok("stop", MODEL)
        assert [] == msgspec.json.decode(own_home.ok("ps", "--json"))["runners"]
        assert not psutil.pid_exists(runner["pid"])


def test_ctrl_c_stops_the_generation_and_leaves_nothing(own_home: Home) -> None:
    """An interrupted `run` exits with 130, without a traceback and without a process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stoker", "run", MODEL, "--raw", "Once upon a time"],
        env=own_home.full_environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.read(20)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children

    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)

    assert 130 == process.returncode
    assert "Traceback" not in error
    assert [] == [child for child in children if child.is_running()]


def test_sigterm_ends_a_server_with_0(own_home: Home) -> None:
    """A server that is asked to end does so in good order, its runner too."""
    with own_home.serve() as server:
        own_home.ok("run", MODEL, "Hi", "--max-tokens", "2")
        children = psutil.Process(server.process.pid).children(recursive=True)
        assert children

        server.process.send_signal(signal.SIGTERM)

        assert 0 == server.process.wait(timeout=30)
        assert [] == [child for child in children if child.is_running()]


def test_the_prompt_loop_converses_on_a_terminal(server: Server) -> None:
    """On a terminal without a prompt, lines are questions and the conversation is kept."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "stoker", "run", MODEL, *GREEDY],
        env=server.home.full_environ | {"TERM": "dumb"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    try:
        os.write(leader, b"What is the capital of France? Answer in one sentence.\n")
        seen = _read_until(leader, b"Paris")
        os.write(leader, b"/bye\n")
        assert 0 == process.wait(timeout=30)
    finally:
        process.kill()
        process.wait(timeout=10)
        os.close(leader)

    assert b"Traceback" not in seen


def _read_until(descriptor: int, words: bytes, timeout_s: float = 60) -> bytes:
    seen = b""
    deadline = time.monotonic() + timeout_s
    while words not in seen and time.monotonic() < deadline:
        try:
            seen += os.read(descriptor, 4096)
        except OSError:
            break
    assert words in seen
    return seen


def test_a_stream_hears_that_its_server_stops(own_home: Home) -> None:
    """SIGTERM lets a stream end with an error that says why, not with a cut connection."""
    drain = {"STOKER_TRANSPORTS__HTTP__DRAIN_TIMEOUT_S": "1"}
    home = attrs.evolve(own_home, environ={**own_home.environ, **drain})
    with home.serve() as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
        stream = client.completions.create(
            model=MODEL,
            prompt="Once upon a time",
            max_tokens=8000,
            stream=True,
            extra_body={"ignore_eos": True},
        )
        next(iter(stream))

        server.process.send_signal(signal.SIGTERM)

        with pytest.raises(openai.APIError, match="stopping"):
            for _ in stream:
                pass
        assert 0 == server.process.wait(timeout=30)
        client.close()
