"""The server, and the commands that talk to it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

TRANSPORTS = "faulty,shelf,example-transport"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """The smallest transport is installed."""
    monkeypatch.setenv("STOKER_PLUGINS", TRANSPORTS)


def test_a_server_says_where_it_listens_and_ends_in_order(serve, home: Path) -> None:
    """The address is its only output; SIGTERM ends it with 0 and takes the socket away."""
    with serve() as (process, address):
        host, _, port = address.removeprefix("tcp://").partition(":")
        with socket.create_connection((host, int(port)), timeout=5):
            assert (home / "run" / "control.sock").exists()
        process.send_signal(signal.SIGTERM)

        assert ("", "") == process.communicate(timeout=20)
    assert 0 == process.returncode
    assert not (home / "run" / "control.sock").exists()


def test_ctrl_c_ends_it_with_its_runners(stoker, serve, model: str) -> None:
    """SIGINT is as good, also with a model loaded."""
    with serve() as (process, _):
        assert 0 == stoker("run", model, "Hi").code
        runners = psutil.Process(process.pid).children()
        assert 1 == len(runners)
        process.send_signal(signal.SIGINT)

        assert ("", "") == process.communicate(timeout=20)
    assert 0 == process.returncode
    assert [] == [runner for runner in runners if runner.is_running()]


def test_a_second_signal_ends_it_at_once(stoker, serve, start, model: str) -> None:
    """When the end in order takes too long, another signal does not wait for it."""
    with (
        serve("--set", "backends.faulty.delay_s=30") as (process, _),
        start("run", model, "Hi"),
    ):
        _wait_until(lambda: [1] == _active_requests(stoker))
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)

        assert 128 + signal.SIGTERM == process.wait(timeout=2)


def test_one_server_per_home(stoker, serve, lines: None) -> None:
    """A second server of the same home is refused, and the first goes on."""
    with serve() as (process, _):
        done = stoker("serve")

        assert 5 == done.code
        assert f"process {process.pid}" in done.err
        assert process.poll() is None


def test_a_home_that_cannot_be(
    stoker, lines: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home that is no folder is an error with a remedy."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("STOKER_HOME", str(tmp_path / "file"))

    done = stoker("serve")

    assert 6 == done.code
    assert "cannot be made: Not a directory; set STOKER_HOME" in done.err


def test_a_port_in_use(stoker, lines: None) -> None:
    """A taken port is one sentence, and the home is free again."""
    with _taken_port() as port:
        done = stoker("serve", "--port", str(port))

        assert 6 == done.code
        assert f"Port {port} is taken" in done.err
        assert 1 == done.err.count("\n")
        assert [] == stoker("ps", "--json").document["runners"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "99999"], "--port: transports.lines.port: expected `int` <= 65535"),
        (["--host", "::1"], "--host: transports.lines.host: unknown setting; expected port"),
        (["--transport", "pigeon"], "no transport 'pigeon' is installed; there are: lines"),
    ],
)
def test_wrong_options(stoker, lines: None, arguments: list[str], words: str) -> None:
    """Host and port are settings of the main transport, and are checked like them."""
    done = stoker("serve", *arguments)

    assert 2 == done.code
    assert words in done.err


def test_transports_can_be_chosen(start, lines: None) -> None:
    """`--transport` wins over the config's list."""
    arguments = ("--set", 'serve.transports=["pigeon"]', "serve", "--transport", "lines")
    with start(*arguments) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("listening on tcp://127.0.0.1:")


def test_ps_without_a_server(stoker) -> None:
    """No server is no error: there is nothing to show."""
    shown, document = stoker("ps"), stoker("ps", "--json")

    assert (0, "", 0) == (shown.code, shown.out, document.code)
    assert "no server is running for this home" in shown.err
    assert {"pid": None, "addresses": [], "runners": []} == document.document


def test_stop_without_a_server(stoker, model: str) -> None:
    """There is nobody to unload anything, which is said; --all has nothing to do."""
    done = stoker("stop", model)

    assert 6 == done.code
    assert "No server is running" in done.err
    assert 0 == stoker("stop", "--all").code


def test_ps_and_stop(stoker, serve, model: str) -> None:
    """A loaded model is shown until it is stopped."""
    with serve() as (process, address):
        assert "is not loaded" in stoker("stop", model).err
        stoker("run", model, "Hi")
        document = stoker("ps", "--json").document
        (runner,) = document["runners"]
        header, line = stoker("ps").out.splitlines()

        assert (process.pid, [address]) == (document["pid"], document["addresses"])
        assert (model, "faulty", "ready") == (runner["model"], runner["backend"], runner["state"])
        assert ["MODEL", "BACKEND", "STATE"] == header.split()[:3]
        assert [model, "faulty", "ready", "1000", "0", "B", "0", "0"] == line.split()[:8]
        assert " in 4 minutes" in line

        assert 3 == stoker("stop", "ai/none").code
        assert f"unloaded {model}\n" == stoker("stop", "--all").out
        assert [] == stoker("ps", "--json").document["runners"]
        stoker("run", model, "Hi")
        assert f"unloaded {model}\n" == stoker("stop", model).out


def test_a_loaded_model_is_not_removed(stoker, serve, model: str) -> None:
    """The last name of a loaded model stays; another name of it may go."""
    with serve():
        stoker("run", model, "Hi")
        refused = stoker("rm", model)
        stoker("tag", model, "ai/second")

        assert 5 == refused.code
        assert "first `stoker stop ai/words`" in refused.err
        assert 0 == stoker("rm", "ai/second").code
        assert 0 == stoker("stop", model).code
        assert 0 == stoker("rm", model).code


def test_a_port_is_taken_from_the_flag(serve, stoker, lines: None, start, home: Path) -> None:
    """`--port` wins over the config's."""
    with _taken_port() as port:
        pass
    environ = os.environ | {"STOKER_TRANSPORTS__LINES__PORT": "1"}
    with start("serve", "--port", str(port), env=environ) as process:
        assert process.stdout is not None
        assert f"listening on tcp://127.0.0.1:{port}\n" == process.stdout.readline()


@contextlib.contextmanager
def _taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _wait_until(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _active_requests(stoker) -> list[int]:
    """Of every model that is loaded."""
    runners = stoker("ps", "--json").document["runners"]
    return [runner["active_requests"] for runner in runners if runner["state"] == "ready"]
