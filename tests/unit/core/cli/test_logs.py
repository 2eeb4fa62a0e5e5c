"""`stoker logs`, and the server's own log."""

from __future__ import annotations

import json
import signal


def test_what_an_engine_printed_can_be_read(stoker, serve, model: str) -> None:
    """Also after it was unloaded; the end alone when that is asked for."""
    with serve():
        assert ("", 0) == (stoker("logs", model).out, stoker("logs", model).code)
        stoker("run", model, "chatter")
        stoker("stop", model)
        lines = stoker("logs", model).out.splitlines()

        assert "garbage on stdout" in lines
        assert lines[-1:] == stoker("logs", model, "--tail", "1").out.splitlines()
        assert "" == stoker("logs", model, "--tail", "0").out
        assert 3 == stoker("logs", "ai/none").code


def test_without_a_server_there_is_no_log(stoker, model: str) -> None:
    """The error says how to start one."""
    done = stoker("logs", model)

    assert (6, True) == (done.code, "stoker serve" in done.err)


def test_requests_are_logged_as_json(start, stoker, home, model: str, monkeypatch) -> None:
    """One object a request, with its id, and not a word of what was said."""
    monkeypatch.setenv("STOKER_PLUGINS", "faulty,shelf,example-transport")
    flags = ("--set", "log.level=info", "--set", "log.format=json")
    with start(*flags, "serve") as process:
        assert process.stdout is not None
        process.stdout.readline()
        stoker("run", model, "a secret")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)

    entries = [json.loads(line) for line in err.splitlines()]
    (entry,) = [entry for entry in entries if entry["logger"] == "stoker.requests"]
    assert ("info", "local", model, "ok") == tuple(
        entry[name] for name in ("level", "caller", "model", "outcome")
    )
    assert 32 == len(entry["request_id"])
    assert 5 == entry["completion_tokens"]
    assert "secret" not in err
