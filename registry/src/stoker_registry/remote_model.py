"""A model as a registry has it: its manifest and config, without the layers."""

from __future__ import annotations

import attrs

from stoker.artifact import ModelFacts
from stoker.digest import Digest
from stoker.errors import InvalidArtifactError
from stoker.manifest import Manifest
from stoker.reference import Reference
from stoker.store import StoredManifest
from stoker.wire.manifest import INDEX_TYPES, decode_index, decode_manifest
from stoker_registry.client import RepositoryClient
from stoker_registry.model_config import MAX_CONFIG_BYTES, read_config


@attrs.frozen
class RemoteModel:
    """What can be known of a model before its layers are fetched."""

    stored: StoredManifest
    manifest: Manifest
    config: bytes
    facts: ModelFacts


def fetch_model(client: RepositoryClient, reference: Reference) -> RemoteModel:
    """Fetch a model's manifest and config.

    Raises:
        ModelNotFoundError: The registry has no such model.
        InvalidArtifactError: The manifest or the config is malformed, or an index leaves a choice.
        TransferError: The transfer failed.
        AccessDeniedError: The registry refused.
    """
    stored = client.fetch_manifest(reference.digest or reference.tag or "")
    if stored.media_type in INDEX_TYPES:
        stored = client.fetch_manifest(_only_manifest(stored, reference))
        if stored.media_type in INDEX_TYPES:
            raise InvalidArtifactError(f"{reference.familiar} is an index within an index.")
    manifest = decode_manifest(stored.data)
    config = client.fetch_bytes(manifest.config, limit_bytes=MAX_CONFIG_BYTES)
    return RemoteModel(stored, manifest, config, read_config(manifest.config.media_type, config))


def _only_manifest(index: StoredManifest, reference: Reference) -> Digest:
    manifests = [wire.to_domain() for wire in decode_index(index.data).manifests or ()]
    if len(manifests) != 1:
        digests = ", ".join(str(item.digest) for item in manifests) or "none"
        raise InvalidArtifactError(
            f"{reference.familiar} is an index of {len(manifests)} manifests, and stoker does not"
            f" choose for you: name one as {reference.registry}/{reference.repository}@DIGEST"
            f" ({digests})."
        )
    return manifests[0].digest
