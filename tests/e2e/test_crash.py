"""What happens when a runner is killed."""

from __future__ import annotations

import os
import signal
import time

import msgspec
import openai
import psutil
import pytest
from stoker_process import MODEL, Home


@pytest.fixture(params=[pytest.param("own_home", marks=pytest.mark.model), "own_mlx_home"])
def home(request: pytest.FixtureRequest) -> Home:
    """A home of the test's own, with a model for each engine in turn."""
    made: Home = request.getfixturevalue(request.param)
    return made


def _runner_pid(home: Home) -> int:
    (runner,) = msgspec.json.decode(home.ok("ps", "--json"))["runners"]
    return int(runner["pid"])


def test_kill_9_of_a_runner_in_mid_stream(home: Home) -> None:
    """That stream ends with an error, the server stays up, and the next request works."""
    with home.serve() as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
        stream = client.completions.create(
            model=MODEL, prompt="Once upon a time", max_tokens=7000, stream=True, seed=1
        )
        next(iter(stream))
        pid = _runner_pid(home)

        os.kill(pid, signal.SIGKILL)

        with pytest.raises(openai.APIError, match="SIGKILL"):
            for _ in stream:
                pass
        assert server.process.poll() is None
        again = client.completions.create(
            model=MODEL, prompt="The capital of France is", max_tokens=4, temperature=0
        )
        assert "Paris" in again.choices[0].text
        assert pid != _runner_pid(home)
        client.close()


def test_nothing_is_left_of_a_server_that_was_killed(home: Home) -> None:
    """The runner of a server that died without a word ends by itself, and its home is free."""
    with home.serve() as server:
        home.ok("run", MODEL, "Hi", "--max-tokens", "2")
        pid = _runner_pid(home)
        server.process.kill()
        server.process.wait(timeout=10)

    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not psutil.pid_exists(pid)
    with home.serve():
        home.ok("ps")
