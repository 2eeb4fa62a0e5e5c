"""API keys and what they allow."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker.caller import LOCAL, Caller, Scope
from stoker.config import Settings, Source
from stoker.errors import AccessDeniedError, ConfigError, UnauthenticatedError
from stoker.keys import ApiKey, KeyRing, hash_of, is_hash, is_loopback, new_key


def test_keys_differ_and_only_their_hashes_are_kept() -> None:
    """Two keys are never the same, and a hash does not show its key."""
    one, other = new_key(), new_key()

    assert one != other
    assert is_hash(hash_of(one))
    assert one not in repr(ApiKey("ann", hash_of(one), frozenset(Scope)))
    assert hash_of(one) not in repr(ApiKey("ann", hash_of(one), frozenset(Scope)))


def test_a_key_is_known_by_its_hash() -> None:
    """The caller has the key's name and scopes; a text that is no key is nobody."""
    key = new_key()
    ring = KeyRing([ApiKey("ann", hash_of(key), frozenset({Scope.INFER}))])

    assert Caller("ann", frozenset({Scope.INFER}), "192.0.2.1") == ring.caller(key, "192.0.2.1")
    for wrong in (None, "", key + "x", hash_of(key), "\udcff"):
        with pytest.raises(UnauthenticatedError):
            ring.caller(wrong, "127.0.0.1")


def test_without_keys_other_machines_only_ask() -> None:
    """Whoever opened the server on purpose has not handed over what is stored."""
    ring = KeyRing()

    assert frozenset(Scope) == ring.caller(None, "127.0.0.1").scopes
    with pytest.raises(AccessDeniedError, match="'admin'"):
        ring.caller(None, "192.0.2.1").require(Scope.ADMIN)
    LOCAL.require(Scope.ADMIN)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("192.0.2.1", False),
        ("::ffff:192.0.2.1", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_addresses_of_this_machine(address: str, expected: bool) -> None:
    """An address of the loopback network, in every form it comes in."""
    assert expected == is_loopback(address)


def settings(tmp_path: Path, *keys: dict[str, object]) -> Settings:
    return Settings(home=tmp_path, sources=(Source("stoker.toml", {"keys": list(keys)}),))


def test_a_key_by_mistake_is_not_repeated(tmp_path: Path) -> None:
    """Who writes the key where its hash belongs does not find it in the error."""
    key = new_key()

    with pytest.raises(ConfigError, match="stoker keys new") as caught:
        settings(tmp_path, {"name": "ann", "hash": key})
    assert key not in str(caught.value)


def test_two_keys_do_not_share_a_name(tmp_path: Path) -> None:
    """Logs could not tell them apart."""
    entry = {"name": "ann", "hash": hash_of("x")}

    with pytest.raises(ConfigError, match="two keys have the same name"):
        settings(tmp_path, entry, entry)
