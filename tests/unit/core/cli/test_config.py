"""`stoker config`: what holds, where it comes from, and how it changes while a server runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import stoker as stoker_module
from stoker.application import Application
from stoker.supervisor.supervisor import supervise


def write(home: Path, text: str) -> None:
    home.mkdir(exist_ok=True)
    (home / "stoker.toml").write_text(text, encoding="utf-8")


def test_show_tells_values_and_origins(
    stoker: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each setting has its effective value, and the file, variable or flag that it is from."""
    write(
        home, "[defaults]\nkeep_alive_s = 60\nload_timeout_s = 5\n[backends.faulty]\ndelay_s = 1\n"
    )
    monkeypatch.setenv("STOKER_DEFAULTS__LOAD_TIMEOUT_S", "7")
    monkeypatch.setenv("STOKER_BACKENDS__FAULTY__NOTES", "x")

    found = {
        item["key"]: (item["value"], item["origin"])
        for item in stoker("--set", "log.level=debug", "config", "show", "--json").document
    }
    table = stoker("config", "show", "backends").out

    path = str(home / "stoker.toml")
    assert (60.0, path) == found["defaults.keep_alive_s"]
    assert (7.0, "STOKER_DEFAULTS__LOAD_TIMEOUT_S") == found["defaults.load_timeout_s"]
    assert ("debug", "--set") == found["log.level"]
    assert (None, "default") == found["defaults.store"]
    assert (1.0, path) == found["backends.faulty.delay_s"]
    assert ("x", "STOKER_BACKENDS__FAULTY__NOTES") == found["backends.faulty.notes"]
    assert ("ok", "default") == found["backends.faulty.load"]
    assert "backends.faulty.delay_s" in table
    assert "keep_alive_s" not in table


def test_show_leaves_defaults_out(stoker: Any, home: Path) -> None:
    """`--changed` shows what somebody has set, and hashes of keys never."""
    made = stoker("keys", "new", "ann", "--json").document
    write(
        home,
        f"[[keys]]\nname = 'ann'\nhash = '{made['hash']}'\n[models.'ai/*']\npin = true\n",
    )

    found = stoker("config", "show", "--changed", "--json").document

    assert {"keys", 'models."ai/*".pin'} == {item["key"] for item in found}
    assert made["hash"] not in json.dumps(found)


def test_explain_tells_what_holds_for_a_model(stoker: Any, home: Path, model: str) -> None:
    """The settings of one model and of its backend, each with the table that it is from."""
    write(
        home,
        "[defaults]\nkeep_alive_s = 60\n"
        "[backends.faulty]\ndelay_s = 0.5\nneed_bytes = 3\n"
        "[models.'ai/*']\npriority = 2\noptions = {need_bytes = 4}\n"
        "[models.'ai/words']\npriority = 3\n"
        "[aliases.brief]\nmodel = 'ai/words'\nenforced = {max_tokens = 2}\n",
    )

    done = stoker("config", "explain", "brief", "--json")
    found = {item["key"]: (item["value"], item["origin"]) for item in done.document}
    shown = stoker("config", "explain", model)

    path = str(home / "stoker.toml")
    assert ("faulty", "the only available backend for the media type") == found["backend"]
    assert (60.0, f"{path}: defaults.keep_alive_s") == found["keep_alive_s"]
    assert (3, f'{path}: models."ai/words".priority') == found["priority"]
    assert (False, "default") == found["pin"]
    assert (0.5, path) == found["backends.faulty.delay_s"]
    assert (4, f'{path}: models."ai/*".options.need_bytes') == found["backends.faulty.need_bytes"]
    assert (2, path) == found["aliases.brief.enforced.max_tokens"]
    assert "the last one wins: ai/*, ai/words" in shown.err
    assert 3 == stoker("config", "explain", "ai/none").code


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", 0, "the configuration is right"),
        ("[backends.faulty]\ndelay = 1", 2, "backends.faulty.delay: unknown setting"),
        ("[models.'ai/x'.options]\nzzz = 1", 2, 'models."ai/x".options.zzz: unknown setting'),
        ("[models.'A B']\npin = true", 2, "is not a repository name"),
        ("[aliases.a]\nmodel = 'A B'", 2, "is not a repository name"),
        ("[backends.other]\nx = 1", 0, "warning: backends.other: no backend of this name"),
        ("[selection]\n'x/y' = ['other']", 0, "names backend 'other', which is not installed"),
        ("[models.'ai/x']\nbackend = 'other'", 0, "names backend 'other', which is not installed"),
        ("[aliases.'ai/words']\nmodel = 'ai/x'", 0, "has the name of a model that is here"),
        ("[defaults]\nkeep_alive_z = 1", 2, "defaults.keep_alive_z: unknown setting"),
    ],
)
@pytest.mark.usefixtures("model")
def test_check_finds_what_is_wrong(
    stoker: Any, home: Path, text: str, code: int, words: str
) -> None:
    """Errors end with exit code 2, remarks do not, and both name the key."""
    write(home, text)

    done = stoker("config", "check")

    assert code == done.code, done
    assert words in done.out + done.err


def ask(address: str, model: str, prompt: str) -> Any:
    """Send a line; return the connection's file, to read the answer from."""
    where = urlsplit(address)
    with contextlib.closing(socket.create_connection((where.hostname, where.port))) as connection:
        lines = connection.makefile("rwb")
    lines.write(json.dumps({"model": model, "prompt": prompt}).encode() + b"\n")
    lines.flush()
    return lines


def read(lines: Any) -> tuple[str, str | None]:
    """The text of an answer, and the error that ended it."""
    text = ""
    for line in lines:
        reply = json.loads(line)
        text += reply.get("text", "")
        if "done" in reply or "error" in reply:
            return text, reply.get("error")
    raise EOFError


def test_a_reload_changes_what_comes_and_not_what_runs(
    stoker: Any, home: Path, model: str, serve: Any
) -> None:
    """An answer under way goes on; the next one has the new settings, and the weights stay."""
    write(home, "[models.'ai/words'.options]\ndelay_s = 0.05\n")

    # The warning about what needs a restart is not what this is about.
    with serve("--set", "log.level=error") as (_, address):
        long = ask(address, model, "repeat " + "word " * 40)
        assert b'{"text":"one "}\n' == long.readline()
        (before,) = stoker("ps", "--json").document["runners"]
        write(
            home,
            "[models.'ai/words'.options]\ndelay_s = 0.05\n"
            "[models.'ai/words']\nkeep_alive_s = 5\n"
            "[aliases.brief]\nmodel = 'ai/words'\nenforced = {max_tokens = 2}\n"
            "[serve]\ntransports = ['lines']\n",
        )
        done = stoker("config", "reload")
        brief = read(ask(address, "brief", "Hi"))
        text, error = read(long)
        (after,) = stoker("ps", "--json").document["runners"]

    assert 0 == done.code, done.err
    assert "changed aliases.brief.model\n" in done.out
    assert 'changed models."ai/words".keep_alive_s' in done.out
    assert "only after a restart: serve.transports" in done.err
    assert ("one two ", None) == brief
    assert (44, None) == (len(text.split()), error)
    assert before["pid"] == after["pid"]
    assert after["expires_in_s"] is None or after["expires_in_s"] <= 5


def test_a_wrong_configuration_changes_nothing(
    stoker: Any, home: Path, model: str, serve: Any
) -> None:
    """It is refused with its key, by the command and by the signal, and the server goes on."""
    with serve() as (_, address):
        write(home, "[models.'ai/words'.options]\nzzz = 1\n")
        done = stoker("config", "reload")
        answered = read(ask(address, model, "Hi"))
        write(home, "")

    assert 2 == done.code
    assert 'models."ai/words".options.zzz: unknown setting' in done.err
    assert ("one two three four five ", None) == answered


def test_a_signal_reloads(stoker: Any, home: Path, model: str, serve: Any) -> None:
    """SIGHUP does what the command does."""
    with serve() as (server, address):
        write(home, "[aliases.brief]\nmodel = 'ai/words'\nenforced = {max_tokens = 1}\n")
        os.kill(server.pid, signal.SIGHUP)
        deadline_s = time.monotonic() + 20
        while (answer := read(ask(address, "brief", "Hi")))[1] and time.monotonic() < deadline_s:
            time.sleep(0.05)

    assert ("one ", None) == answer


def test_a_reload_needs_a_server(stoker: Any, home: Path) -> None:
    """Without one the command says so."""

    assert 6 == stoker("config", "reload").code


def test_an_alias_is_asked_like_a_model(stoker: Any, home: Path, model: str) -> None:
    """`run` and `why` take it; what changes models wants the model's own name."""
    write(home, "[aliases.brief]\nmodel = 'ai/words'\nenforced = {max_tokens = 2}\n")

    assert "one two" == stoker("run", "brief", "Hi").out.strip()
    assert "brief is an alias of ai/words" in stoker("why", "brief").err
    assert 3 == stoker("rm", "brief").code
    assert 0 == stoker("inspect", "ai/words").code


def test_an_alias_is_listed_beside_its_model(stoker: Any, home: Path, model: str) -> None:
    """Clients see both names, with one digest; an alias of nothing is left out."""
    write(
        home,
        "[aliases.brief]\nmodel = 'ai/words'\n[aliases.lost]\nmodel = 'ai/none'\n",
    )

    async def cards() -> list[tuple[str, str]]:
        async with supervise(Application.create()) as host:
            return [(card.name, str(card.digest)) for card in await host.catalog.models()]

    first, second = asyncio.run(cards())

    assert ("ai/words", "brief") == (first[0], second[0])
    assert first[1] == second[1]


def test_an_alias_is_opened_in_process(stoker: Any, home: Path, model: str) -> None:
    """`stoker.open` gives the model with the alias's parameters."""
    write(home, "[aliases.brief]\nmodel = 'ai/words'\nenforced = {max_tokens = 2}\n")

    with stoker_module.open("brief") as opened:
        assert "one two " == "".join(opened.generate("Hi", max_tokens=4))
