"""Digests: the identity of bytes."""

from __future__ import annotations

import hashlib
import re

import attrs

from stoker.errors import InvalidDigestError

# Lower-case hex only, as the OCI image spec registers it:
# https://github.com/opencontainers/image-spec/blob/v1.1.0/descriptor.md#registered-algorithms
_HEX_LENGTH = {"sha256": 64, "sha512": 128}
_HEX = re.compile(r"[0-9a-f]+")


def _check(instance: Digest, _attribute: object, _value: str) -> None:
    length = _HEX_LENGTH.get(instance.algorithm)
    if length is None:
        raise InvalidDigestError(
            f"{instance.algorithm!r} is not a digest algorithm that stoker reads:"
            f" use {' or '.join(_HEX_LENGTH)}."
        )
    if len(instance.encoded) != length or not _HEX.fullmatch(instance.encoded):
        raise InvalidDigestError(
            f"A {instance.algorithm} digest is {length} lower-case hex digits,"
            f" not {instance.encoded[:80]!r}."
        )


@attrs.frozen(order=True)
class Digest:
    """A checked digest, `algorithm:hex`.

    The grammar is checked on construction, so a `Digest` may become part of a path.
    """

    algorithm: str
    encoded: str = attrs.field(validator=_check)

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `sha256:<64 hex digits>` or `sha512:<128 hex digits>`.

        Raises:
            InvalidDigestError: The text is anything else.
        """
        algorithm, colon, encoded = text.partition(":")
        if not colon:
            raise InvalidDigestError(f"{text[:80]!r} is not a digest: write sha256:<hex>.")
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """The sha256 digest of bytes that are already in memory."""
        return cls("sha256", hashlib.sha256(data).hexdigest())

    @property
    def short(self) -> str:
        """The first 12 hex digits, for people."""
        return self.encoded[:12]

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"
