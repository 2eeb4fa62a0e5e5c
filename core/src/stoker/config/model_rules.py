"""Which tables of `[models]` are about a model, and which of them has the last word.

A key is a pattern (`ai/*`, `hf.co/*:Q4_?_M`), a model's name, or a digest (`sha256:...`). Setting
by setting the more exact one wins: patterns come first, those with more letters later, then the
name, then the digest.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable

from stoker.digest import Digest
from stoker.errors import ConfigError, InvalidDigestError, InvalidReferenceError
from stoker.reference import DEFAULT_REGISTRY, Reference

_WILD = frozenset("*?[")
_DIGEST = "sha256:"


def rules_for(
    keys: Iterable[str],
    reference: Reference,
    digest: Digest | None,
    *,
    schemes: Collection[str],
) -> tuple[str, ...]:
    """The keys that are about a model, the least exact first.

    Args:
        keys: The keys of `[models]`.
        reference: The model's name.
        digest: Its digest; None where it is not known.
        schemes: Prefixes that installed stores claim.

    Raises:
        ConfigError: A key is neither a pattern nor a name nor a digest.
    """
    found: list[tuple[int, int, str]] = []
    for key in keys:
        if _WILD & set(key):
            if any(fnmatch.fnmatchcase(form, key) for form in _forms(reference)):
                letters = sum(letter not in _WILD for letter in key)
                found.append((0, letters, key))
        elif key.startswith(_DIGEST):
            if _digest(key) == digest:
                found.append((2, 0, key))
        elif _reference(key, schemes) == reference:
            found.append((1, 0, key))
    return tuple(key for _, _, key in sorted(found))


def check_keys(keys: Iterable[str], *, schemes: Collection[str]) -> None:
    """Check that each key is one.

    Raises:
        ConfigError: It is neither a pattern nor a name nor a digest.
    """
    for key in keys:
        if key.startswith(_DIGEST):
            _digest(key)
        elif not _WILD & set(key):
            _reference(key, schemes)


def _forms(reference: Reference) -> set[str]:
    """How a pattern may spell the name: in full, as people type it, and that with its tag."""
    full = str(reference)
    return {full, full.removeprefix(f"{DEFAULT_REGISTRY}/"), reference.familiar}


def _reference(key: str, schemes: Collection[str]) -> Reference:
    try:
        return Reference.parse(key, schemes=schemes)
    except InvalidReferenceError as exc:
        raise ConfigError(source="models", key=key, problem=str(exc)) from exc


def _digest(key: str) -> Digest:
    try:
        return Digest.parse(key)
    except InvalidDigestError as exc:
        raise ConfigError(source="models", key=key, problem=str(exc)) from exc
