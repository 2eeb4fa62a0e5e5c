"""What the files of models say, written down: a large vocabulary takes a tenth of a second to read.

One file per manifest. A digest means the same bytes for ever, so nothing here grows old.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import attrs
import msgspec

from stoker.artifact import ModelFacts
from stoker.digest import Digest
from stoker.errors import InvalidDigestError
from stoker.wire.facts import FactsWire
from stoker.wire.malformed import MALFORMED
from stoker_registry.disk import write_atomically

_SUFFIX = ".json"


@attrs.frozen
class FactsCache:
    """The folder `facts` of a store; whoever deletes it loses time only."""

    directory: Path

    def get(self, digest: Digest, read: Callable[[], ModelFacts]) -> ModelFacts:
        """The facts of a model.

        Args:
            digest: Of its manifest.
            read: Reads them from the files, when nobody wrote them down yet.
        """
        path = self._path(digest)
        # A file that cannot be read, or is of another version, is written again.
        with contextlib.suppress(OSError, *MALFORMED):
            return msgspec.json.decode(path.read_bytes(), type=FactsWire).to_domain()
        facts = read()
        data = msgspec.json.encode(FactsWire.from_domain(facts))
        # The store may be a read-only one.
        with contextlib.suppress(OSError):
            write_atomically(path, data)
        return facts

    def remove(self, digest: Digest) -> None:
        """Forget a model; the next `get` reads its files again."""
        self._path(digest).unlink(missing_ok=True)

    def _path(self, digest: Digest) -> Path:
        return self.directory / f"{digest.algorithm}-{digest.encoded}{_SUFFIX}"

    def remove_all_but(self, keep: frozenset[Digest]) -> None:
        """Forget what no other manifest needs."""
        for path in self.directory.glob(f"*{_SUFFIX}"):
            algorithm, _, encoded = path.name.removesuffix(_SUFFIX).partition("-")
            with contextlib.suppress(InvalidDigestError):
                if Digest(algorithm, encoded) not in keep:
                    path.unlink(missing_ok=True)
