"""`stoker keys`."""

from __future__ import annotations

import socket
import stat
import tomllib
from pathlib import Path

from stoker.keys import hash_of


def test_a_key_is_shown_once_with_its_entry(stoker) -> None:
    """The key is the only output; the entry beside it is TOML with the key's hash."""
    done = stoker("keys", "new", 'ann "the" first', "--scope", "admin", "--scope", "infer")
    key = done.out.strip()
    (entry,) = tomllib.loads(done.err[done.err.index("[[keys]]") :])["keys"]

    assert 0 == done.code
    assert {
        "name": 'ann "the" first',
        "hash": hash_of(key),
        "scopes": ["admin", "infer"],
    } == entry


def test_a_key_as_json(stoker) -> None:
    """Programs get both in one document; asking is what a key is for unless said."""
    document = stoker("keys", "new", "ann", "--json").document

    assert (hash_of(document["key"]), ["infer"]) == (document["hash"], document["scopes"])


def test_the_control_socket_is_private(serve, home: Path) -> None:
    """Nobody but its owner can open it."""
    with serve():
        assert 0o600 == stat.S_IMODE((home / "run" / "control.sock").stat().st_mode)


def test_a_transport_that_knows_no_keys_is_closed_by_keys(
    serve, stoker, model: str, tmp_path: Path
) -> None:
    """With keys in the config, nobody gets in without one; this user's own socket stays open."""
    config = tmp_path / "stoker.toml"
    config.write_text(f'[[keys]]\nname = "ann"\nhash = "{hash_of("x")}"\n')
    with serve("--config", str(config)) as (_, address):
        host, _, port = address.removeprefix("tcp://").partition(":")
        with socket.create_connection((host, int(port)), timeout=5) as client:
            assert b"needs an API key" in client.recv(4096)
        assert 0 == stoker("run", model, "Hi").code
