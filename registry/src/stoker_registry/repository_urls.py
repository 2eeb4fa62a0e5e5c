"""The addresses of a repository in the distribution API.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#endpoints
"""

from __future__ import annotations

import attrs

from stoker.digest import Digest


@attrs.frozen
class RepositoryUrls:
    """One repository of one registry."""

    origin: str
    """Scheme and host of the API."""
    repository: str

    @property
    def base(self) -> str:
        """What says that the API is there."""
        return f"{self.origin}/v2/"

    def manifest(self, target: Digest | str) -> str:
        """A manifest, by digest or tag."""
        return f"{self.base}{self.repository}/manifests/{target}"

    def blob(self, digest: Digest) -> str:
        """A blob."""
        return f"{self.base}{self.repository}/blobs/{digest}"

    @property
    def uploads(self) -> str:
        """Where uploads begin."""
        return f"{self.base}{self.repository}/blobs/uploads/"
