"""Mending: damaged blobs are fetched again from where their models came from."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import attrs

from stoker.errors import AccessDeniedError, InvalidInputError, NotFoundError, TransferError
from stoker.manifest import Descriptor
from stoker.store import ReportProgress
from stoker.upkeep import Damage
from stoker_registry.layout import ImageLayout
from stoker_registry.leases import Lease
from stoker_registry.names import Entry
from stoker_registry.puller import Puller
from stoker_registry.verification import sources_of


@attrs.frozen
class Mender:
    """Mends the blobs of one verification."""

    layout: ImageLayout
    puller: Puller
    lease: Lease
    """Protects what is being mended."""
    report: ReportProgress

    def mend(self, damage: Damage, descriptor: Descriptor, users: Sequence[Entry]) -> Damage:
        """Fetch a damaged blob again; one that nobody needs is deleted.

        What cannot be fetched stays as it is: perhaps somebody can make use of it.

        Args:
            damage: What is wrong.
            descriptor: The blob.
            users: Who needs it.

        Returns:
            The damage, with what came of it.
        """
        if not users:
            return self._delete(damage)
        path = self.layout.blobs.path(descriptor.digest)
        # Aside first: what is under its name counts as whole. It goes when this process dies.
        aside = self.lease.place()
        with self.layout.lock.hold(), contextlib.suppress(FileNotFoundError):
            path.rename(aside)
        try:
            return self._fetch(damage, descriptor, users)
        finally:
            if aside.exists():
                if path.exists():
                    aside.unlink()
                else:
                    aside.rename(path)

    def _delete(self, damage: Damage) -> Damage:
        with self.layout.lock.hold():
            if damage.digest in self.layout.leases.protected():
                return attrs.evolve(damage, remark="Somebody is fetching a model that needs it.")
            self.layout.blobs.path(damage.digest).unlink(missing_ok=True)
        return attrs.evolve(damage, is_repaired=True, remark="No model needs it: it was deleted.")

    def _fetch(self, damage: Damage, descriptor: Descriptor, users: Sequence[Entry]) -> Damage:
        remark = "No registry is known that has it: package or import the model again."
        for source in sources_of(users):
            try:
                self.puller.fetch_blob(source, descriptor, self.lease, self.report)
            except (AccessDeniedError, InvalidInputError, NotFoundError, TransferError) as exc:
                remark = f"It cannot be fetched again from {source.familiar}: {exc}"
                continue
            with self.layout.lock.hold():
                for entry in users:
                    # Both were made of the damaged file.
                    self.layout.bundles.remove(entry.digest)
                    self.layout.facts.remove(entry.digest)
            remark = f"It was fetched again from {source.familiar}."
            return attrs.evolve(damage, is_repaired=True, remark=remark)
        return attrs.evolve(damage, remark=remark)


def leave_to_keeper(damage: Damage, _descriptor: Descriptor, _users: Sequence[Entry]) -> Damage:
    """Mend nothing of a shared store."""
    return attrs.evolve(damage, remark="It is in a shared store, where stoker changes nothing.")
