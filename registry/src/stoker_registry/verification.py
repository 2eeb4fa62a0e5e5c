"""Verifying: every blob of a store is hashed again, and what is damaged is mended where it can be.

Blobs are checked before they get their names, so what is found here was done to the disk since:
by the disk itself, by another program, or by a hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from stoker.digest import Digest
from stoker.errors import InvalidArtifactError
from stoker.file_check import check_file
from stoker.manifest import Descriptor
from stoker.media_types import MediaType
from stoker.reference import Reference
from stoker.store import ReportProgress
from stoker.upkeep import Damage, Verification
from stoker.wire.manifest import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    MAX_MANIFEST_BYTES,
    decode_index,
    decode_manifest,
    media_type_of,
)
from stoker_registry.leases import Lease
from stoker_registry.local_models import LocalModels
from stoker_registry.names import Entry

Mend = Callable[[Damage, Descriptor, Sequence[Entry]], Damage]
"""Tries to mend a blob that these entries need; tells what came of it."""

_UNNAMED = MediaType("application/octet-stream")


class Verifier:
    """One verification. Used once, by one thread."""

    def __init__(
        self, models: LocalModels, lease: Lease, report: ReportProgress, mend: Mend | None
    ) -> None:
        """Prepare.

        Args:
            models: What is checked.
            lease: Keeps what is being checked from being collected.
            report: Told of every step.
            mend: Mends what is damaged; None to leave it.
        """
        self._models = models
        self._lease = lease
        self._report = report
        self._mend = mend
        self._wanted: dict[Digest, tuple[Descriptor, list[Entry]]] = {}
        self._sound: set[Digest] = set()
        self._damages: list[Damage] = []
        self._checked_bytes = 0
        self._checked = 0

    def run(self, entries: Iterable[Entry], *, others: bool) -> Verification:
        """Check models.

        Args:
            entries: The models.
            others: Check the blobs that none of the entries needs, too.
        """
        for entry in entries:
            self._visit(entry.wire.to_domain(), entry)
        # Only now is it known who needs which blob; manifests were checked on the way.
        for descriptor, users in tuple(self._wanted.values()):
            self._check(descriptor, users)
        if others:
            for digest in tuple(self._models.blobs.digests()):
                if digest not in self._wanted:
                    self._check_unnamed(digest)
        return Verification(self._checked, self._checked_bytes, tuple(self._damages))

    def _visit(self, descriptor: Descriptor, entry: Entry) -> None:
        """Check a manifest or index, and take note of what it needs."""
        is_new = self._want(descriptor, entry)
        if is_new:
            self._lease.protect((descriptor.digest,))
            self._check(descriptor, [entry])
        if descriptor.digest not in self._sound:
            return
        try:
            for child, is_manifest in self._children(descriptor.digest):
                if is_manifest:
                    # Other tools may keep an index of which only one part is here.
                    if self._models.blobs.path(child.digest).exists():
                        self._visit(child, entry)
                else:
                    self._want(child, entry)
        except InvalidArtifactError as exc:
            self._damages.append(
                Damage(
                    descriptor.digest,
                    "manifest",
                    "is whole, but malformed",
                    _models([entry]),
                    remark=f"Its publisher has to package it again: {exc}",
                )
            )
        self._lease.protect(self._wanted)

    def _want(self, descriptor: Descriptor, entry: Entry) -> bool:
        is_new = descriptor.digest not in self._wanted
        users = self._wanted.setdefault(descriptor.digest, (descriptor, []))[1]
        if entry not in users:
            users.append(entry)
        return is_new

    def _children(self, digest: Digest) -> Iterator[tuple[Descriptor, bool]]:
        data = self._models.blobs.read(digest, limit_bytes=MAX_MANIFEST_BYTES)
        if media_type_of(data) in INDEX_TYPES:
            for wire in decode_index(data).manifests or ():
                yield wire.to_domain(), True
            return
        for descriptor in decode_manifest(data).blobs:
            yield descriptor, False

    def _check(self, descriptor: Descriptor, users: Sequence[Entry]) -> None:
        digest = descriptor.digest
        if digest in self._sound or any(damage.digest == digest for damage in self._damages):
            return
        item = item_of(descriptor)
        problem = self._problem(digest, descriptor.size_bytes, item)
        if problem is None:
            self._sound.add(digest)
            return
        # Somebody may have removed the model since we looked.
        present = [entry for entry in self._models.names.entries() if entry in users]
        if not present:
            return
        damage = Damage(digest, item, problem, _models(users))
        if self._mend is not None:
            damage = self._mend(damage, descriptor, users)
            if damage.is_repaired:
                self._sound.add(digest)
        self._damages.append(damage)

    def _check_unnamed(self, digest: Digest) -> None:
        problem = self._problem(digest, None, digest.short)
        if problem is None or not self._models.blobs.path(digest).exists():
            return
        damage = Damage(digest, digest.short, problem, ())
        if self._mend is not None:
            damage = self._mend(damage, Descriptor(_UNNAMED, digest, 0), ())
        self._damages.append(damage)

    def _problem(self, digest: Digest, size_bytes: int | None, item: str) -> str | None:
        """What is wrong with a blob, as the end of a sentence."""
        found = check_file(self._models.blobs.path(digest), digest, size_bytes, item, self._report)
        if found.hashed_bytes is not None:
            self._checked += 1
            self._checked_bytes += found.hashed_bytes
        return found.problem


def item_of(descriptor: Descriptor) -> str:
    """What people call a blob."""
    if is_manifest(descriptor):
        return "manifest"
    return descriptor.file_path or descriptor.digest.short


def is_manifest(descriptor: Descriptor) -> bool:
    """Whether registries keep it among their manifests."""
    return descriptor.media_type in (*MANIFEST_TYPES, *INDEX_TYPES)


def _models(entries: Sequence[Entry]) -> tuple[Reference, ...]:
    names = {entry.reference for entry in entries if entry.reference is not None}
    return tuple(sorted(names, key=str))


def sources_of(entries: Iterable[Entry]) -> tuple[Reference, ...]:
    """The names under which models were pulled; where nobody wrote that down, their own."""
    found = (entry.source or entry.reference for entry in entries)
    return tuple(dict.fromkeys(item for item in found if item is not None))
