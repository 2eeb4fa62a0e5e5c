"""Mirrors: other registries that have the same models, to read from first."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import attrs

from stoker.errors import (
    AccessDeniedError,
    ConfigError,
    InvalidArtifactError,
    InvalidReferenceError,
    ModelNotFoundError,
    TransferError,
)
from stoker.reference import Reference, parse_registry
from stoker_registry.options import OciOptions

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


def mirrored(reference: Reference, options: OciOptions) -> tuple[Reference, ...]:
    """Where a model can be read from, mirrors first; the last one is its registry.

    Raises:
        ConfigError: A mirror of the registry is no `host[:port][/prefix]`.
    """
    mirrors = options.host(reference.registry).mirrors
    return (*(_in_mirror(reference, mirror) for mirror in mirrors), reference)


def read_from_any(reference: Reference, options: OciOptions, read: Callable[[Reference], _T]) -> _T:
    """Read a model from the first place that has it whole.

    A mirror is trusted no more than a registry: what it sends is checked against the digests of
    its manifest, and the manifest against the digest in the reference, where there is one.

    Args:
        reference: The model's name.
        options: With the mirrors.
        read: Reads it under the name that it is given, which stands for one place.

    Raises:
        StokerError: What `read` raised when the registry itself was asked.
    """
    *mirrors, origin = mirrored(reference, options)
    for mirror in mirrors:
        try:
            return read(mirror)
        except (
            AccessDeniedError,
            InvalidArtifactError,
            ModelNotFoundError,
            TransferError,
        ) as exc:
            _log.warning("The mirror %s of %s failed: %s", mirror.registry, origin.registry, exc)
    return read(origin)


def _in_mirror(reference: Reference, mirror: str) -> Reference:
    host, _, prefix = mirror.partition("/")
    try:
        registry = parse_registry(host)
        # Read as a name, so that the prefix follows the grammar of names.
        repository = Reference.parse(
            "/".join(filter(None, ("docker.io", prefix.strip("/"), reference.repository)))
        ).repository
    except InvalidReferenceError as exc:
        raise ConfigError(
            source="[stores.oci]",
            key=f'hosts."{reference.registry}".mirrors',
            problem=f"{mirror!r} is no host[:port][/prefix]",
        ) from exc
    return attrs.evolve(reference, registry=registry, repository=repository)
