"""Asking a model."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

WORDS = "one two three four five"


def test_an_answer_and_nothing_else(stoker, model: str) -> None:
    """The text is on standard output; without a terminal there is no status line."""
    done = stoker("run", model, "Hi")

    assert (0, f"{WORDS} \n", "") == (done.code, done.out, done.err)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["Hi"], ""),
        ([], "Hi\n"),
        (["Say"], "Hi\n"),
        (["--raw", "Hi"], ""),
        (["--system", "S"], "U"),
    ],
)
def test_prompts(stoker, model: str, arguments: list[str], text: str) -> None:
    """A prompt comes as an argument, on standard input, or both; with a template or without."""
    done = stoker("run", model, *arguments, text=text)

    assert (0, f"{WORDS} \n") == (done.code, done.out)


def test_argument_and_input_are_joined(stoker, model: str) -> None:
    """The argument comes first, then what was piped in: it is no command of the test engine."""

    assert 0 == stoker("run", model, "please", text="kill").code
    assert 6 == stoker("run", model, text="kill").code


def test_input_that_is_no_text(start, model: str, tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are refused, on standard input and as an argument."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with (tmp_path / "bytes").open("rb") as file, start("run", model, stdin=file) as piped:
        _, err = piped.communicate(timeout=20)
    with start("run", model, os.fsdecode(b"\xff")) as given:
        given.wait(timeout=20)

    assert (2, 2) == (piped.returncode, given.returncode)
    assert "stoker: error: The prompt is not text in UTF-8.\n" == err


def test_options_reach_the_engine(stoker, model: str) -> None:
    """max_tokens and stop strings end the answer."""
    short = stoker("run", model, "Hi", "--max-tokens", "2", "--json").document
    stopped = stoker("run", model, "Hi", "--stop", " three", "--json").document

    assert ("one two ", "length", 2) == (
        short["text"],
        short["finish_reason"],
        short["usage"]["completion_tokens"],
    )
    assert ("one two", "stop", " three") == (
        stopped["text"],
        stopped["finish_reason"],
        stopped["stop"],
    )


def test_json_is_one_document(stoker, model: str) -> None:
    """`--json` has the text, the usage and the timings."""
    document = stoker("run", model, "Hi", "--json").document

    assert (model, f"{WORDS} ", "stop") == (
        document["model"],
        document["text"],
        document["finish_reason"],
    )
    assert document["timings"]["first_token_s"] > 0


def test_verbose_tells_the_speed(stoker, model: str) -> None:
    """`--verbose` adds one line on standard error."""
    done = stoker("run", model, "Hi", "--verbose")

    assert f"{WORDS} \n" == done.out
    assert "5 tokens" in done.err
    assert "first token after" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--top-p", "7"], 2, "top_p must be between 0 and 1"),
        (["--max-tokens", "0"], 2, "max_tokens must be 1 or more"),
        (["--stop", ""], 2, "A stop string has between"),
        (["--backend", "absent"], 6, "pinned to backend 'absent'"),
    ],
)
def test_wrong_options(stoker, model: str, arguments: list[str], code: int, words: str) -> None:
    """A value out of range is named; a pinned backend is never replaced."""
    done = stoker("run", model, "Hi", *arguments)

    assert (code, "") == (done.code, done.out)
    assert words in done.err


def test_a_model_that_is_not_here(stoker) -> None:
    """Nothing is pulled without being asked; the error says how."""
    done = stoker("run", "ai/none", "Hi")

    assert 3 == done.code
    assert "`stoker pull ai/none`" in done.err


@pytest.mark.parametrize("load", ["refuse", "raise", "exit", "kill"])
def test_a_load_that_fails(stoker, model: str, load: str) -> None:
    """Whatever happens in the runner, the command ends with one sentence."""
    done = stoker("--set", f"backends.faulty.load={load}", "run", model, "Hi")

    assert 6 == done.code
    assert done.err.startswith("stoker: error: ")
    assert "Traceback" not in done.err


def test_a_crash_keeps_what_was_said(stoker, model: str) -> None:
    """The text before the crash stays, then comes the error."""
    done = stoker("run", model, "kill")

    assert 6 == done.code
    assert done.out.startswith("one ")
    assert "SIGKILL" in done.err


def test_ctrl_c_leaves_nothing_behind(start, model: str) -> None:
    """An interrupted answer ends the command with 130 and its runner with it."""
    with start("--set", "backends.faulty.delay_s=0.01", "run", model, "for ever") as process:
        assert process.stdout is not None
        process.stdout.read(6)
        runners = psutil.Process(process.pid).children(recursive=True)
        assert 1 == len(runners)

        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)

    assert (130, "") == (process.returncode, err)
    assert [] == [runner for runner in runners if runner.is_running()]


def test_ctrl_c_while_loading(start, model: str) -> None:
    """A load that hangs can be interrupted as well."""
    with start("--set", "backends.faulty.load=hang", "run", model, "Hi") as process:
        deadline = time.monotonic() + 20
        while not (runners := psutil.Process(process.pid).children()):
            assert time.monotonic() < deadline
            time.sleep(0.05)

        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=20)

    assert 130 == process.returncode
    assert [] == [runner for runner in runners if runner.is_running()]


def test_the_server_answers_when_there_is_one(stoker, serve, model: str) -> None:
    """`run` uses the model that the server has loaded, which stays loaded."""
    with serve():
        first = stoker("run", model, "Hi")
        (runner,) = stoker("ps", "--json").document["runners"]
        second = stoker("--set", "defaults.keep_alive_s=1", "run", model, "Hi")
        (same,) = stoker("ps", "--json").document["runners"]

    assert (0, 0, f"{WORDS} \n") == (first.code, second.code, second.out)
    assert runner["pid"] == same["pid"]
    assert "" == first.err
    assert "settings of this command do not apply" in second.err
