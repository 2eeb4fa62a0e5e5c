"""The store's models as a registry shows them: by repository, tag and digest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from stoker.digest import Digest
from stoker.errors import ModelNotFoundError, NotFoundError
from stoker.formats import FormatTable
from stoker.media_types import DOCKER_MANIFEST, OCI_MANIFEST
from stoker.reference import DEFAULT_REGISTRY, Reference
from stoker.store import ContentSource, StoredManifest
from stoker.wire.manifest import decode_manifest
from stoker_registry.chain import ModelChain
from stoker_registry.local_models import LocalModels
from stoker_registry.names import Entry

_Named = tuple[LocalModels, Entry, Reference]
_SERVED_TYPES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})


@attrs.frozen
class OciContent(ContentSource):
    """What others may pull from a store."""

    chain: ModelChain

    @property
    def formats(self) -> FormatTable:
        """The rules that say what a layer is."""
        return self.chain.own.formats

    def manifest(self, repository: str, reference: str) -> StoredManifest:
        """The manifest of a tag or digest in a repository, byte for byte.

        Raises:
            ModelNotFoundError: There is none.
            InvalidDigestError: The reference has a colon, but is no digest.
        """
        digest = Digest.parse(reference) if ":" in reference else None
        for models, entry, name in self._repository(repository):
            if entry.digest == digest or (digest is None and name.tag == reference):
                return models.manifest(entry)
        name_asked = f"{repository}{'@' if digest else ':'}{reference}"
        raise ModelNotFoundError(f"There is no model {name_asked!r} here.", model=name_asked)

    def blob(self, repository: str, digest: Digest) -> Path:
        """The file of a blob that a manifest of the repository names.

        Raises:
            NotFoundError: There is none.
        """
        for models, entry, _ in self._repository(repository):
            for descriptor in decode_manifest(models.manifest(entry).data).blobs:
                if descriptor.digest == digest and models.blobs.has(descriptor):
                    return models.blobs.path(digest)
        raise NotFoundError(f"No model of {repository!r} has a blob {digest}.")

    def tags(self, repository: str) -> Sequence[str]:
        """All tags of a repository, sorted.

        Raises:
            ModelNotFoundError: There is no such repository.
        """
        return sorted(name.tag for *_, name in self._repository(repository) if name.tag)

    def repositories(self) -> Sequence[str]:
        """All repositories, sorted, by names that the other methods know them by."""
        names = set()
        for *_, reference in self._served():
            # A port's colon has no place in the name of a repository.
            is_plain = reference.registry == DEFAULT_REGISTRY or ":" in reference.registry
            prefix = "" if is_plain else f"{reference.registry}/"
            names.add(f"{prefix}{reference.repository}")
        return sorted(names)

    def _served(self) -> Iterator[_Named]:
        """What can be offered."""
        return (item for item in self.chain.entries() if item[1].media_type in _SERVED_TYPES)

    def _repository(self, name: str) -> Sequence[_Named]:
        """The entries of a repository that is named with its registry or without.

        Raises:
            ModelNotFoundError: There is none, or one in each of several registries.
        """
        by_registry: dict[str, list[_Named]] = {}
        for item in self._served():
            reference = item[2]
            if f"{reference.registry}/{reference.repository}" == name:
                by_registry.setdefault("", []).append(item)
            elif reference.repository == name:
                by_registry.setdefault(reference.registry, []).append(item)
        for registry in ("", DEFAULT_REGISTRY):
            if registry in by_registry:
                return by_registry[registry]
        if len(by_registry) != 1:
            choice = f" in one registry, but in {', '.join(sorted(by_registry))}"
            raise ModelNotFoundError(
                f"There is no repository {name!r}{choice if by_registry else ''} here.", model=name
            )
        return next(iter(by_registry.values()))
