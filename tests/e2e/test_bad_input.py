"""What goes wrong ends in one clear sentence, a non-zero exit, and nothing half-written."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from stoker_process import FAULTY, MODEL, Home, MakeHome, Server

pytestmark = pytest.mark.model


def test_a_corrupt_blob_is_refused_and_leaves_nothing(
    server: Server, make_home: MakeHome, corrupting_proxy: str
) -> None:
    """A registry that flips a bit is found out; no name and no blob of it appears."""
    home = make_home()

    error = home.refused("pull", f"{corrupting_proxy}/{MODEL}")

    assert "sha256:" in error
    assert [] == msgspec.json.decode(home.ok("list", "--json"))
    big = [path for path in home.path.rglob("*") if path.is_file() and path.stat().st_size > 10**7]
    assert [] == big


def test_a_truncated_gguf_is_refused_by_package(
    model_file: Path, make_home: MakeHome, tmp_path: Path
) -> None:
    """A file that ends in the middle of its header never becomes an artifact."""
    home = make_home()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(model_file.read_bytes()[:1000])

    error = home.refused("package", "test/cut", "--weights", str(cut))

    assert "cut.gguf" in error
    assert [] == msgspec.json.decode(home.ok("list", "--json"))


def test_weights_that_end_early_are_refused_by_the_engine(
    model_file: Path, make_home: MakeHome, tmp_path: Path
) -> None:
    """A header that is whole with tensors that are not: the engine says so, and it is no crash."""
    home = make_home()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(model_file.read_bytes()[: 20 * 1024 * 1024])
    packaged = home.run("package", "test/cut", "--weights", str(cut))
    if packaged.returncode == 0:
        error = home.refused("run", "test/cut", "Hi")
        assert "test/cut" in error or "cut" in error


def test_an_unknown_media_type_is_named(make_home: MakeHome, tmp_path: Path) -> None:
    """Weights that nobody knows can be kept, but `why` and `run` name what is missing."""
    home = make_home()
    text = tmp_path / "words.txt"
    text.write_text("one two three")
    kind = "application/vnd.example.unknown"
    home.ok("package", "test/words", "--weights", str(text), "--media-type", kind)

    for command in (("why", "test/words"), ("run", "test/words", "Hi")):
        assert kind in home.refused(*command)


def test_an_engine_that_dies_in_loading_is_quoted(make_home: MakeHome, tmp_path: Path) -> None:
    """The engine's own last words are in the one line of error."""
    home = make_home(PYTHONPATH=str(FAULTY), STOKER_BACKENDS__FAULTY__LOAD="exit")
    text = tmp_path / "words.txt"
    text.write_text("one two three")
    kind = "application/vnd.stoker.test.faulty"
    home.ok("package", "test/words", "--weights", str(text), "--media-type", kind)

    assert "last words of the engine" in home.refused("run", "test/words", "Hi")


def test_a_missing_backend_is_named_with_a_remedy(own_home: Home) -> None:
    """Without a backend for GGUF the model is there, but cannot be run."""
    home = Home(own_home.path, {"STOKER_PLUGINS": "registry"})

    error = home.refused("run", MODEL, "Hi")

    assert "gguf" in error
    assert "stoker[all]" in error


def test_a_pinned_backend_that_is_missing_is_no_fall_back(own_home: Home) -> None:
    """A pin that cannot be honoured is an error."""

    error = own_home.refused("run", MODEL, "Hi", "--backend", "vllm")

    assert "'vllm'" in error
    assert "not installed" in error


def test_a_bad_config_key_names_file_and_key(make_home: MakeHome) -> None:
    """The sentence says where, what, and what was expected."""
    home = make_home()
    (home.path / "stoker.toml").write_text("[defaults]\nkeep_alive = 5\n")

    error = home.refused("list")

    assert "stoker.toml: defaults.keep_alive" in error
    assert "keep_alive_s" in error


def test_a_wrong_backend_option_names_the_key(own_home: Home, tmp_path: Path) -> None:
    """An option that only the plugin knows is checked by the plugin's own type."""
    config = tmp_path / "stoker.toml"
    config.write_text('[backends."llama.cpp"]\ncontext_length = "long"\n')

    error = own_home.refused("--config", str(config), "run", MODEL, "Hi")

    assert "context_length" in error
    assert str(config) in error


def test_a_port_in_use_is_said_so(make_home: MakeHome) -> None:
    """The server does not start, and names the address."""
    home = make_home()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        error = home.refused("serve", "--port", str(port))

    assert f"127.0.0.1:{port}" in error


def test_two_servers_of_one_home_are_refused(server: Server) -> None:
    """The second one names the first."""

    error = server.home.refused("serve", "--port", "0")

    assert str(server.process.pid) in error


def test_an_unknown_model_is_named_with_the_command_that_brings_it(make_home: MakeHome) -> None:
    """What is not here says how to get it."""

    error = make_home().refused("run", "ai/none", "Hi")

    assert "stoker pull ai/none" in error


@pytest.fixture
def corrupting_proxy(server: Server) -> Iterator[str]:
    """A registry that passes everything on from the server, but flips a bit in large blobs."""
    import urllib.request  # noqa: PLC0415

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {"Accept": self.headers.get("Accept", "*/*")}
            upstream = urllib.request.Request(server.url + self.path, headers=headers)
            with urllib.request.urlopen(upstream, timeout=20) as response:
                body = bytearray(response.read())
                if len(body) > 10**6:
                    body[len(body) // 2] ^= 1
                self.send_response(200)
                for name in ("Content-Type", "Docker-Content-Digest"):
                    if name in response.headers:
                        self.send_header(name, response.headers[name])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Keep quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{proxy.server_address[1]}"
        proxy.shutdown()
