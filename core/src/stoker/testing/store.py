"""The contract of stores (`stoker.store.Store`), as tests."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from stoker.errors import ModelNotFoundError, OperationCancelledError
from stoker.media_types import Role
from stoker.reference import Reference
from stoker.store import Progress, Store
from stoker.testing.contract import Contract, missing_fixture

WAIT_S = 60
"""How long two pulls of a test's model may take."""


def ignore(_progress: Progress) -> None:
    """Take a report of progress and do nothing with it."""


class StoreContract(Contract):
    """What every `Store` must do. Override `make_store`, `reference` and `missing_reference`."""

    @pytest.fixture
    def make_store(self) -> Callable[[], Store]:
        """A function that makes a store on one folder, empty at first. Override this.

        Every call returns a new object on the same folder, as in another process.
        """
        missing_fixture(self, "make_store", "return a function that makes a store on one folder")

    @pytest.fixture
    def reference(self) -> Reference:
        """A small model that can be pulled, with weights in it. Override this."""
        missing_fixture(self, "reference", "return a reference that can be pulled")

    @pytest.fixture
    def missing_reference(self) -> Reference:
        """A well-formed reference of a model that exists nowhere. Override this."""
        missing_fixture(self, "missing_reference", "return a reference that cannot be pulled")

    @pytest.fixture
    def store(self, make_store: Callable[[], Store]) -> Store:
        """An empty store."""
        return make_store()

    def test_an_empty_store_has_nothing(self, store: Store, reference: Reference) -> None:
        """Before a pull nothing is listed, and what is asked for by name is not found.

        The folder need not exist yet.
        """
        assert [] == list(store.list())
        with pytest.raises(ModelNotFoundError):
            store.resolve(reference)
        with pytest.raises(ModelNotFoundError):
            store.remove(reference)

    def test_a_pulled_model_is_here(self, store: Store, reference: Reference) -> None:
        """After a pull the model is resolved and listed as `pull` returned it."""
        artifact = store.pull(reference, ignore)

        assert artifact == store.resolve(reference)
        assert [artifact] == list(store.list())
        assert artifact.created_s is not None

    def test_another_store_on_the_folder_sees_it(
        self, make_store: Callable[[], Store], reference: Reference
    ) -> None:
        """What one process pulled the next one has: nothing lives in memory only."""
        artifact = make_store().pull(reference, ignore)

        assert artifact == make_store().resolve(reference)

    def test_a_second_pull_is_a_no_op(self, store: Store, reference: Reference) -> None:
        """Pulling what is complete changes nothing, not even the files."""
        artifact = store.pull(reference, ignore)
        files = [path.stat() for path in store.open(artifact).weights]

        assert artifact == store.pull(reference, ignore)
        found = [path.stat() for path in store.open(artifact).weights]
        assert [(item.st_ino, item.st_mtime_ns) for item in files] == [
            (item.st_ino, item.st_mtime_ns) for item in found
        ]

    def test_a_missing_model_is_not_found(self, store: Store, missing_reference: Reference) -> None:
        """What exists nowhere is a `ModelNotFoundError`, and nothing of it appears."""
        with pytest.raises(ModelNotFoundError):
            store.pull(missing_reference, ignore)
        with pytest.raises(ModelNotFoundError):
            store.resolve_remote(missing_reference)
        assert [] == list(store.list())

    def test_a_bundle_has_the_layers_as_files(self, store: Store, reference: Reference) -> None:
        """`open` gives every layer as a file of the right size, and weights among them."""
        artifact = store.pull(reference, ignore)
        bundle = store.open(artifact)

        assert (artifact.reference, artifact.digest) == (bundle.reference, bundle.digest)
        assert bundle.weights
        assert {Role.WEIGHTS} <= {item.role for item in bundle.files}
        assert all(item.path.is_absolute() for item in bundle.files)
        sizes = sorted(item.path.stat().st_size for item in bundle.files)
        assert sorted(layer.size_bytes for layer in artifact.manifest.layers) == sizes

    def test_a_removed_model_is_gone(self, store: Store, reference: Reference) -> None:
        """After `remove` the model is not found, not listed, and cannot be opened."""
        artifact = store.pull(reference, ignore)
        removal = store.remove(reference)

        assert (artifact.reference,) == removal.untagged
        assert artifact.digest in removal.deleted
        assert removal.freed_bytes > 0
        assert [] == list(store.list())
        with pytest.raises(ModelNotFoundError):
            store.resolve(reference)
        with pytest.raises(ModelNotFoundError):
            store.open(artifact)
        with pytest.raises(ModelNotFoundError):
            store.remove(reference)

    def test_a_removed_model_can_come_back(self, store: Store, reference: Reference) -> None:
        """Removing leaves nothing that stands in a new pull's way."""
        digest = store.pull(reference, ignore).digest
        store.remove(reference)

        assert digest == store.pull(reference, ignore).digest

    def test_progress_grows(self, store: Store, reference: Reference) -> None:
        """A pull reports how far it is: counts grow, and never beyond the total."""
        reports: list[Progress] = []
        store.pull(reference, reports.append)

        assert reports
        last: dict[tuple[str, str], int] = {}
        for report in reports:
            assert report.stage
            assert report.total_bytes is None or report.done_bytes <= report.total_bytes
            key = (report.stage, report.item)
            assert last.get(key, 0) <= report.done_bytes
            last[key] = report.done_bytes

    def test_a_pull_can_be_given_up(self, store: Store, reference: Reference) -> None:
        """An exception out of the progress callback ends the pull; nothing of it is visible."""

        def give_up(_progress: Progress) -> None:
            raise OperationCancelledError("Nobody waits any more.")

        with pytest.raises(OperationCancelledError):
            store.pull(reference, give_up)
        assert [] == list(store.list())
        with pytest.raises(ModelNotFoundError):
            store.resolve(reference)
        assert store.pull(reference, ignore) == store.resolve(reference)

    def test_pulls_at_the_same_time_agree(
        self, make_store: Callable[[], Store], reference: Reference
    ) -> None:
        """Two pulls of one model, as by two processes, both end with a whole model."""
        stores = [make_store(), make_store()]
        with ThreadPoolExecutor(len(stores)) as threads:
            pulls = [threads.submit(store.pull, reference, ignore) for store in stores]
            digests = {pull.result(WAIT_S).digest for pull in pulls}

        assert 1 == len(digests)
        for store in stores:
            assert store.open(store.resolve(reference)).weights
