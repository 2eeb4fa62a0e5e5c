"""Models by paths: the command line may name any, HTTP clients only those that were taken."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

from gguf_file import gguf_bytes
from stoker_process import MakeHome, Server

TIMEOUT_S = 30
_POSTS = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "x"}]},
    "/v1/completions": {"prompt": "x"},
    "/v1/embeddings": {"input": "x"},
}


def status_of(server: Server, path: str, body: object = None) -> tuple[int, str]:
    """The status of an answer, and its error's sentence."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{server.url}{path}", data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return response.status, ""
    except urllib.error.HTTPError as exc:
        text = exc.read().decode()
        try:
            error = json.loads(text)["error"]
        except ValueError:
            return exc.code, text
        return exc.code, error if isinstance(error, str) else error["message"]


def test_http_clients_cannot_name_files(make_home: MakeHome, tmp_path: Path) -> None:
    """A path that nobody took is not loaded, and whether it exists cannot be told."""
    weights = tmp_path / "tiny.gguf"
    weights.write_bytes(gguf_bytes({"general.architecture": "llama"}))
    hub = tmp_path / "hub"
    snapshot = hub / "models--org--name" / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    (snapshot / "tiny.gguf").write_bytes(weights.read_bytes())
    home = make_home(HF_HUB_CACHE=str(hub))
    here = os.path.relpath(weights)
    there = (str(weights), f"file:{weights}", f"./{here}", "hf-cache:org/name")
    nowhere = (f"{weights}.missing", "/etc/passwd", "/dev/zero", "~/x", "hf-cache:org/none")

    with home.serve() as server:
        for name in (*there, *nowhere):
            for path, body in _POSTS.items():
                status, said = status_of(server, path, {"model": name, **body})
                assert (404, True) == (status, "is not here" in said), (path, name, said)
            status, said = status_of(server, f"/v1/models/{quote(name.lstrip('/'), safe='/:')}")
            assert status in {400, 404}, name
        for name in (str(weights), f"file:{weights}", "/etc/passwd", f"{weights}.missing"):
            assert 403 == status_of(server, "/api/pull", {"model": name})[0], name
            assert 403 == status_of(server, "/models/create", {"from": name})[0], name
        for name in (f"file:{weights}", "file:/etc/passwd"):
            path = f"/models/{quote(name, safe='/:')}?remote=true"
            assert 403 == status_of(server, path)[0], name
        assert "[]" == "".join(home.ok("list", "--json").split())
        home.ok("pull", "-q", str(weights))
        home.ok("pull", "-q", "hf-cache:org/name")
        for name in (f"file:{weights}", "hf-cache:org/name"):
            assert 200 == status_of(server, f"/v1/models/{quote(name, safe='/:')}")[0]
        # What was taken is loaded; that these few bytes are no model is for the engine to say.
        assert (
            404 != status_of(server, "/v1/completions", {"model": str(weights), "prompt": "x"})[0]
        )


def test_the_model_of_a_file_answers(make_home: MakeHome, model_file: Path, tmp_path: Path) -> None:
    """From a file to an answer, without a copy."""
    home = make_home()
    link = tmp_path / "my model.gguf"
    link.symlink_to(model_file)
    home.ok("pull", "-q", str(link))

    answer = home.ok("run", str(link), "Say hi.", "--max-tokens", "4", "--temperature", "0")

    assert answer.strip()
    copies = [path for path in home.path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert model_file.stat().st_size > sum(path.stat().st_size for path in copies)
