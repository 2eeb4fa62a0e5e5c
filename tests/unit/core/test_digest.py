from __future__ import annotations

import pytest

from stoker.digest import Digest
from stoker.errors import InvalidDigestError


def test_digest_of_bytes_reads_back() -> None:
    """A digest's text is read back as the same digest."""

    digest = Digest.of(b"stoker")

    assert digest == Digest.parse(str(digest))
    assert 12 == len(digest.short)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        "md5:" + "0" * 32,
        "sha256:" + "0" * 63,
        "sha256:" + "A" * 64,
        "sha256:../../" + "0" * 58,
        "sha256:" + "0" * 64 + "/x",
        "sha512:" + "0" * 64,
        "sha256:" + "٣" * 64,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """Only a known algorithm with its exact number of hex digits may become part of a path."""

    with pytest.raises(InvalidDigestError):
        Digest.parse(text)
