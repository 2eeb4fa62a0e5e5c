"""Uses: who works with the files of a model, so that nobody removes them meanwhile.

A use is a file that its owner keeps locked. The kernel ends the lock when the owner dies, whatever
the reason, so a use never outlives its owner.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from stoker.digest import Digest
from stoker.errors import InvalidDigestError
from stoker.file_lock import try_lock

_SUFFIX = ".use"


@attrs.frozen
class UseDirectory:
    """A store's folder of uses, by the digests of manifests. Any number of processes share it.

    A store takes uses and looks for them under one lock of its own, so that no use begins between
    the look and what it is for.
    """

    directory: Path

    @contextlib.contextmanager
    def hold(self, digest: Digest, user: str) -> Iterator[None]:
        """Use a model while the block runs; it may end in another thread.

        Args:
            digest: Of the model's manifest.
            user: Who, for people: "process 12 (stoker serve)".
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        token = secrets.token_hex(8)
        path = self.directory / f"{digest.algorithm}-{digest.encoded}.{token}{_SUFFIX}"
        aside = self.directory / f".{token}"
        descriptor = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            # Locked before others see it: they take a use without a lock for a dead one.
            try_lock(descriptor)
            os.write(descriptor, user.encode())
            aside.rename(path)
            yield
        finally:
            aside.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            os.close(descriptor)

    def users(self) -> Mapping[Digest, str]:
        """Who uses what; the files of dead users are deleted."""
        found: dict[Digest, list[str]] = {}
        for path in sorted(self.directory.glob(f"*{_SUFFIX}")):
            algorithm, _, encoded = path.name.partition(".")[0].partition("-")
            with contextlib.suppress(FileNotFoundError, InvalidDigestError):
                digest = Digest(algorithm, encoded)
                if (user := _living_user(path)) is not None:
                    found.setdefault(digest, []).append(user)
        return {digest: ", ".join(users) for digest, users in found.items()}


def _living_user(path: Path) -> str | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if not try_lock(descriptor):
            return path.read_text(encoding="utf-8", errors="replace")[:200]
        path.unlink(missing_ok=True)
        return None
    finally:
        os.close(descriptor)
