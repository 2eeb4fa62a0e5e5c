"""Registries, as far as the store reaches out to them: with its options, and only when it must."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs

from stoker.store import Progress, ReportProgress
from stoker_registry.backoff import Backoff
from stoker_registry.options import OciOptions

if TYPE_CHECKING:
    from stoker.reference import Reference
    from stoker_registry.client import RepositoryClient


def no_progress(_progress: Progress) -> None:
    """For what is too short to report."""


@attrs.frozen
class Registries:
    """Makes clients."""

    options: OciOptions
    backoff: Backoff

    @contextlib.contextmanager
    def client(
        self, reference: Reference, report: ReportProgress = no_progress
    ) -> Iterator[RepositoryClient]:
        """A client of a model's repository, for as long as the block runs.

        Args:
            reference: Names the registry and the repository.
            report: Told while the client waits to try again; raises to give up.
        """
        # An HTTP client costs a third of a second, and only transfers need it.
        from stoker_registry.client import RepositoryClient  # noqa: PLC0415

        client = RepositoryClient(
            reference,
            self.options,
            backoff=self.backoff,
            heartbeat=lambda: report(Progress("waiting to try again")),
        )
        with contextlib.closing(client):
            yield client
