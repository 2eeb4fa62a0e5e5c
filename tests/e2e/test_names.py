"""Names of models over HTTP: every route reads the hard ones as the commands do."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

from gguf_file import gguf_bytes
from hard_names import MEANT, WRONG
from stoker_process import MakeHome, Server

TIMEOUT_S = 30
_POSTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")


def ask(server: Server, path: str, body: object = None) -> tuple[int, bytes]:
    """The status and the body of an answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{server.url}{path}", data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as exc:
        return exc.code, exc.read()


def test_names_over_http(make_home: MakeHome, tmp_path: Path) -> None:
    """Hard names lead to their model, and what is no name is refused with a sentence."""
    home = make_home()
    weights = tmp_path / "tiny.gguf"
    weights.write_bytes(gguf_bytes({"general.architecture": "llama"}))
    complete = sorted(set(MEANT.values()))
    home.ok("package", complete[0], "--weights", str(weights))
    names = home.path / "names.py"
    # One process for all names: each takes a third of a second by itself.
    names.write_text(
        "import sys\nfrom stoker.cli import main\n"
        "sys.exit(max(main(['tag', sys.argv[1], name]) for name in sys.argv[2:]))"
    )
    tagged = home.python_ok(str(names), *complete)
    assert "" == tagged.stderr

    with home.serve() as server:
        for name, meant in MEANT.items():
            status, body = ask(server, f"/v1/models/{quote(name, safe='/:')}")
            assert (200, name) == (status, json.loads(body)["id"]), name
            repository, _, tag = meant.removeprefix("docker.io/").rpartition(":")
            status, _ = ask(server, f"/v2/{quote(repository, safe='/:')}/manifests/{tag}")
            assert 200 == status, name
        for name in WRONG:
            body_of = {"model": name, "messages": [], "prompt": "x", "input": "x"}
            for path in _POSTS:
                status, body = ask(server, path, body_of)
                assert 400 == status, (path, name, body)
                assert json.loads(body)["error"]["message"]
            # A slash alone adds nothing to a path: that of the list of models, say.
            if name == "/":
                continue
            for place in ("/v1/models/{}", "/v2/{}/tags/list", "/v2/{}/manifests/latest"):
                for safe in ("", "/"):
                    path = place.format(quote(name, safe=safe))
                    assert ask(server, path)[0] in {400, 404}, path
        assert 200 == ask(server, "/health")[0]
