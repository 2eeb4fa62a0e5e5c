"""Logging in to registries and out of them."""

from __future__ import annotations

from pathlib import Path

import pytest


def kept(home: Path, registry: str) -> str:
    """The login that the store keeps."""
    return (home / "stores" / "shelf" / f"{registry}.login").read_text()


@pytest.mark.parametrize(
    ("host", "registry"),
    [
        ("reg.example", "reg.example"),
        ("REG.example:5000", "reg.example:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
    ],
)
def test_the_password_comes_from_standard_input(
    stoker, home: Path, host: str, registry: str
) -> None:
    """A script gives the password where no list of processes shows it."""
    done = stoker("login", host, "-u", "ann", "--password-stdin", text="s3 cret\nmore")

    assert (0, "") == (done.code, done.err)
    assert f"logged in to {registry} as ann; the login is kept in the shelf\n" == done.out
    assert "ann:s3 cret" == kept(home, registry)


def test_the_password_is_asked_for(stoker, home: Path, monkeypatch) -> None:
    """In a terminal stoker asks who and for the password, which is not shown."""
    asked = []

    def answer(text: str, **options: object) -> str:
        asked.append((text, options.get("hide_input", False)))
        return ["ann", "s3cret"][len(asked) - 1]

    monkeypatch.setattr("click.prompt", answer)
    monkeypatch.setattr("stoker.cli.commands.login._is_terminal", lambda: True)
    done = stoker("login", "reg.example")

    assert 0 == done.code
    assert [("User name at reg.example", False), ("Password", True)] == asked
    assert "ann:s3cret" == kept(home, "reg.example")


def test_an_unverified_login_is_said(stoker) -> None:
    """Nobody shall think that a login is right because nobody asked for it."""
    done = stoker("login", "open.example", "-u", "ann", "--password-stdin", text="x\n")

    assert 0 == done.code
    assert "did not ask for a login" in done.err


def test_a_wrong_password(stoker) -> None:
    """It ends with the code for other credentials."""
    done = stoker("login", "reg.example", "-u", "ann", "--password-stdin", text="wrong\n")

    assert 4 == done.code
    assert "stoker: error: reg.example does not take this password.\n" == done.err


@pytest.mark.parametrize(
    ("arguments", "text", "complaint"),
    [
        (["reg.example"], "x", "no terminal"),
        (["reg.example", "--password-stdin"], "x", "needs --username"),
        (["reg.example", "-u", "ann", "--password-stdin"], "", "no password"),
        (["reg/example", "-u", "ann", "--password-stdin"], "x", "not a registry"),
        (["reg.example", "-u", "ann", "--password", "x"], "", "No such option"),
    ],
)
def test_what_is_missing_is_said(stoker, arguments: list[str], text: str, complaint: str) -> None:
    """Wrong use is told in one line; there is no option that shows a password to others."""
    done = stoker("login", *arguments, text=text)

    assert 2 == done.code
    assert complaint in done.err


def test_logout(stoker) -> None:
    """A login is forgotten once."""
    stoker("login", "reg.example", "-u", "ann", "--password-stdin", text="x\n")

    assert "forgot the login to reg.example\n" == stoker("logout", "reg.example").out
    done = stoker("logout", "reg.example")
    assert 3 == done.code
    assert "no login to reg.example" in done.err
