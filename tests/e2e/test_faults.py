"""Faults of runners and ends of servers, as a client sees them; see `docs/reference/faults.md`."""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from pathlib import Path

import httpx
import msgspec
import psutil
import pytest
from stoker_process import FAULTY, Home, MakeHome, Server

WORDS = "one two three four five six seven eight"


@pytest.fixture
def words_home(make_home: MakeHome, tmp_path: Path) -> Home:
    """A home with a scripted model that takes its time."""
    return _slow_home(make_home, tmp_path, drain_timeout_s=3)


def _slow_home(make_home: MakeHome, tmp_path: Path, *, drain_timeout_s: int) -> Home:
    return _home(
        make_home,
        tmp_path,
        "words",
        STOKER_BACKENDS__FAULTY__DELAY_S="0.15",
        STOKER_TRANSPORTS__HTTP__DRAIN_TIMEOUT_S=str(drain_timeout_s),
    )


def _home(make_home: MakeHome, tmp_path: Path, name: str, **environ: str) -> Home:
    home = make_home(name, PYTHONPATH=str(FAULTY), **environ)
    weights = tmp_path / f"{name}.txt"
    weights.write_text(WORDS)
    media_type = "application/vnd.stoker.test.faulty"
    home.ok("package", "test/words", "--weights", str(weights), "--media-type", media_type)
    return home


def _ask(server: Server, prompt: str = "") -> httpx.Response:
    body = {"model": "test/words", "prompt": prompt}
    return httpx.post(f"{server.url}/v1/completions", json=body, timeout=60)


def _runners(home: Home) -> list[dict[str, object]]:
    runners: list[dict[str, object]] = msgspec.json.decode(home.ok("ps", "--json"))["runners"]
    return runners


def test_sigterm_lets_running_streams_end(make_home: MakeHome, tmp_path: Path) -> None:
    """What streams when the signal comes is answered to its end, and the server ends with 0."""
    lines: list[str] = []
    with _slow_home(make_home, tmp_path, drain_timeout_s=20).serve() as server:
        _ask(server)
        began = threading.Event()

        def read() -> None:
            body = {"model": "test/words", "prompt": "", "stream": True}
            with httpx.stream(
                "POST", f"{server.url}/v1/completions", json=body, timeout=60
            ) as answer:
                for line in answer.iter_lines():
                    lines.append(line)
                    began.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert began.wait(30)
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=30)
        reader.join(timeout=10)

        assert 0 == server.process.returncode
    assert "data: [DONE]" in lines
    assert any("eight" in line for line in lines)


def test_sigterm_gives_up_what_takes_too_long(make_home: MakeHome, tmp_path: Path) -> None:
    """Past the limit a stream is told so, and the server ends with 0 and no process left."""
    home = _slow_home(make_home, tmp_path, drain_timeout_s=1)
    with home.serve() as server:
        _ask(server)
        (runner,) = _runners(home)
        body = {"model": "test/words", "prompt": "for ever", "stream": True}
        with httpx.stream("POST", f"{server.url}/v1/completions", json=body, timeout=60) as answer:
            lines = answer.iter_lines()
            next(lines)
            server.process.send_signal(signal.SIGTERM)
            rest = "".join(lines)
        server.process.wait(timeout=30)

        assert 0 == server.process.returncode
        assert "The server is stopping" in rest
        assert not psutil.pid_exists(int(str(runner["pid"])))


def test_nothing_is_left_behind(
    make_home: MakeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Crashes, unloads and the server's end leave no process, descriptor or temporary file."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)
    home = _home(make_home, tmp_path, "clean", TMPDIR=str(scratch))
    with home.serve() as server:
        process = psutil.Process(server.process.pid)
        assert WORDS == _ask(server).json()["choices"][0]["text"].strip()
        home.ok("stop", "test/words")
        before = process.num_fds(), len(process.children(recursive=True))
        for prompt in ("kill", "exit", "raise", "chatter"):
            _ask(server, prompt)
            _ask(server)
        home.ok("stop", "test/words")
        deadline_s = time.monotonic() + 10
        while (
            before != (process.num_fds(), len(process.children(recursive=True)))
            and time.monotonic() < deadline_s
        ):
            time.sleep(0.1)

        assert before == (process.num_fds(), len(process.children(recursive=True)))
    assert [] == [path.name for path in scratch.rglob("*")]
    assert not list((home.path / "run").glob("*.sock"))


def test_a_hang_is_ended_and_the_next_request_answered(make_home: MakeHome, tmp_path: Path) -> None:
    """A client learns that the engine hangs; it does not wait for ever."""
    home = _home(make_home, tmp_path, "hang", STOKER_DEFAULTS__STEP_TIMEOUT_S="1")
    with home.serve() as server:
        assert 200 == _ask(server).status_code

        hung = _ask(server, "hang")

        assert 503 == hung.status_code
        assert "no sign of life for 1 s" in hung.json()["error"]["message"]
        assert 200 == _ask(server).status_code


def test_a_model_that_never_fits_is_refused(make_home: MakeHome, tmp_path: Path) -> None:
    """The numbers are in the error, its status says that trying again does not help."""
    home = _home(
        make_home,
        tmp_path,
        "large",
        STOKER_BACKENDS__FAULTY__NEED_BYTES=str(2 * 1024**3),
        STOKER_MEMORY__BUDGET="1 GiB",
    )
    with home.serve() as server:
        refused = _ask(server)

        assert 507 == refused.status_code
        assert "needs 2.0 GiB" in refused.json()["error"]["message"]
        assert [] == _runners(home)


def test_a_broken_model_is_not_loaded_in_a_loop(make_home: MakeHome, tmp_path: Path) -> None:
    """Clients that insist get the engine's last words at once, and no process each."""
    home = _home(make_home, tmp_path, "broken", STOKER_BACKENDS__FAULTY__LOAD="exit")
    with home.serve() as server:
        for _ in range(2):
            assert "last words of the engine" in _ask(server).text
        started_s = time.monotonic()
        errors = [_ask(server).json()["error"]["message"] for _ in range(10)]

        assert time.monotonic() - started_s < 5
        assert any("in a row" in error for error in errors)
        assert all("last words of the engine" in error for error in errors)


def test_models_are_loaded_from_the_start(words_home: Home) -> None:
    """With `preload` a model is there before anybody asks; `/v1/models` shows its context."""
    (words_home.path / "stoker.toml").write_text(
        '[models."test/words"]\npreload = true\npin = true\nkeep_alive_s = 0\n'
    )
    with words_home.serve() as server:
        deadline_s = time.monotonic() + 20
        while not any(runner["pid"] for runner in _runners(words_home)):
            assert time.monotonic() < deadline_s
            time.sleep(0.1)

        (runner,) = _runners(words_home)
        (card,) = httpx.get(f"{server.url}/v1/models", timeout=10).json()["data"]

        assert runner["pinned"] is True
        assert (1000, 1000) == (runner["context_length"], card["context_length"])
        assert "pinned" in words_home.ok("ps")
