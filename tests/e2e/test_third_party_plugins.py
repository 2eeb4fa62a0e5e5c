"""The plugins of the folder `plugins-example/` at work, as their users have them."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import pytest
from stoker_process import Home, MakeHome

PARROT = "application/vnd.stoker.example.parrot.v1"
REMOTE = "application/vnd.stoker.remote.v1+json"


@pytest.fixture
def parrot(make_home: MakeHome, tmp_path: Path) -> Home:
    """A home with a parrot in it."""
    home = make_home("parrot")
    phrases = tmp_path / "phrases.parrot"
    phrases.write_text("*: Polly heard {text}\n")
    home.ok("package", "test/polly", "--weights", str(phrases), "--media-type", PARROT)
    return home


def chat(url: str, model: str, text: str) -> Any:
    """Ask for a chat completion."""
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return msgspec.json.decode(response.read())


def test_a_model_on_another_machine_joins_the_same_api(
    parrot: Home, make_home: MakeHome, tmp_path: Path
) -> None:
    """A request goes through two servers: the one here, and the one that has the model."""
    near = make_home("near")
    with parrot.serve() as far:
        path = tmp_path / "polly.remote.json"
        path.write_text(json.dumps({"url": f"{far.url}/v1", "model": "test/polly"}))
        near.ok("package", "team/polly", "--weights", str(path), "--media-type", REMOTE)
        with near.serve() as server:
            answer = chat(server.url, "team/polly", "Füße")
            listed = near.ok("ps")

    assert "Polly heard Füße" == answer["choices"][0]["message"]["content"]
    assert "remote" in listed


def test_an_editor_starts_the_server_itself(parrot: Home) -> None:
    """Requests by lines on the input, answers by lines on the output, and nothing else there."""
    lines = [
        {"id": 1, "model": "test/polly", "prompt": "one"},
        {"id": "two", "model": "test/polly", "messages": [{"role": "user", "content": "two"}]},
        {"id": 3, "model": "test/none", "prompt": "three"},
        {"id": 4},
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "stoker", "serve", "--transport", "stdio"],
        env=parrot.full_environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for line in (*map(json.dumps, lines), "no JSON"):
            process.stdin.write(line + "\n")
        process.stdin.flush()
        replies: list[Any] = []
        while sum("done" in reply or "error" in reply for reply in replies) < 5:
            replies.append(json.loads(process.stdout.readline()))
        process.stdin.close()
        process.wait(30)
        announced = process.stderr.read()

    texts: dict[Any, str] = {}
    errors = {reply["id"]: reply["error"] for reply in replies if "error" in reply}
    for reply in replies:
        texts[reply["id"]] = texts.get(reply["id"], "") + reply.get("text", "")
    assert ("Polly heard one", "Polly heard two") == (texts[1], texts["two"])
    assert "There is no model 'test/none' here" in errors[3]
    assert "Send either `prompt` or `messages`." == errors[4]
    assert "The line cannot be read" in errors[None]
    assert "listening on stdio:\n" == announced
    assert 0 == process.returncode


def metrics(url: str) -> list[str]:
    """The lines of a server's metrics."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as response:
        text: str = response.read().decode()
    return text.splitlines()


@pytest.fixture
def recorded(parrot: Home) -> Home:
    """The parrot's home, after some requests to a server."""
    with parrot.serve() as server:
        for text in ("one", "two"):
            chat(server.url, "test/polly", text)
    return parrot


def test_a_plugins_metrics_stand_beside_the_servers(parrot: Home) -> None:
    """What a plugin counts is in the same page, and whether it answered at all."""
    with parrot.serve() as server:
        chat(server.url, "test/polly", "one")
        lines = metrics(server.url)

    assert 'recorder_requests_total{caller="no key",outcome="ok"} 1.0' in lines
    assert 'stoker_metric_source_up{source="recorder"} 1.0' in lines
    assert 'stoker_requests_total{model="test/polly",status="200"} 1.0' in lines


def test_what_was_asked_is_recorded(recorded: Home) -> None:
    """The listener writes while the server runs, and the plugin's command sums it up."""
    path = recorded.path / "listeners" / "recorder" / "events.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    (summary,) = msgspec.json.decode(recorded.ok("recorded", "--json"))

    assert ["load", "request", "request", "unload"] == [event["event"] for event in events]
    assert ("test/polly", 2, 0) == (summary["model"], summary["requests"], summary["failed"])
    assert "heard" not in path.read_text()
    assert "test/polly: 2 requests, 0 failed" in recorded.ok("recorded")
