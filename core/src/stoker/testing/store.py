"""The contract of stores (`stoker.store.Store`), as tests."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from stoker.errors import (
    IntegrityError,
    InUseError,
    ModelNotFoundError,
    OperationCancelledError,
)
from stoker.media_types import Role
from stoker.reference import Reference
from stoker.store import Progress, Store
from stoker.testing.contract import Contract, missing_fixture

WAIT_S = 60
"""How long two pulls of a test's model may take."""


def ignore(_progress: Progress) -> None:
    """Take a report of progress and do nothing with it."""


class StoreContract(Contract):
    """What every `Store` must do. Override its first four fixtures."""

    keeps_what_is_used = True
    """Unset it when other processes cannot be told that a model is in use."""
    knows_what_should_come = True
    """Unset it when the source announces neither sizes nor digests, so that nothing can be checked;
    `damaged_reference` is not needed then."""

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
    def damaged_reference(self, missing_reference: Reference) -> Reference:
        """A model whose bytes are not those that its source announced. Override this."""
        if self.knows_what_should_come:
            missing_fixture(self, "damaged_reference", "return the reference of a damaged model")
        return missing_reference

    @pytest.fixture
    def store(self, make_store: Callable[[], Store]) -> Store:
        """An empty store."""
        return make_store()

    def test_an_empty_store_has_nothing(self, store: Store, reference: Reference) -> None:
        """Before a pull nothing is listed, and what is asked for by name is not found.

        The folder need not exist yet.

        To mend it: take a folder that is not there for an empty one, and raise
        `ModelNotFoundError`, not `OSError`.
        """
        assert [] == list(store.list())
        with pytest.raises(ModelNotFoundError):
            store.resolve(reference)
        with pytest.raises(ModelNotFoundError):
            store.remove(reference)

    def test_a_pulled_model_is_here(self, store: Store, reference: Reference) -> None:
        """After a pull the model is resolved and listed as `pull` returned it.

        To mend it: let `pull` end with `resolve`, so that there is one way to read a model.
        """
        artifact = store.pull(reference, ignore)

        assert artifact == store.resolve(reference)
        assert [artifact] == list(store.list())
        assert artifact.created_s is not None

    def test_another_store_on_the_folder_sees_it(
        self, make_store: Callable[[], Store], reference: Reference
    ) -> None:
        """What one process pulled the next one has: nothing lives in memory only.

        To mend it: write everything that `resolve` needs to disk before `pull` returns.
        """
        artifact = make_store().pull(reference, ignore)

        assert artifact == make_store().resolve(reference)

    def test_a_second_pull_is_a_no_op(self, store: Store, reference: Reference) -> None:
        """Pulling what is complete changes nothing, not even the files.

        To mend it: look first whether all files are there, and return the artifact then.
        """
        artifact = store.pull(reference, ignore)
        files = [path.stat() for path in store.open(artifact).weights]

        assert artifact == store.pull(reference, ignore)
        found = [path.stat() for path in store.open(artifact).weights]
        assert [(item.st_ino, item.st_mtime_ns) for item in files] == [
            (item.st_ino, item.st_mtime_ns) for item in found
        ]

    def test_a_missing_model_is_not_found(self, store: Store, missing_reference: Reference) -> None:
        """What exists nowhere is a `ModelNotFoundError`, and nothing of it appears.

        To mend it: turn the source's own "not found" into `ModelNotFoundError`.
        """
        with pytest.raises(ModelNotFoundError):
            store.pull(missing_reference, ignore)
        with pytest.raises(ModelNotFoundError):
            store.resolve_remote(missing_reference)
        assert [] == list(store.list())

    def test_a_bundle_has_the_layers_as_files(self, store: Store, reference: Reference) -> None:
        """`open` gives every layer as a file of the right size, and weights among them.

        To mend it: give every layer its own file, by an absolute path, with a role from the
        format rules.
        """
        artifact = store.pull(reference, ignore)
        bundle = store.open(artifact)

        assert (artifact.reference, artifact.digest) == (bundle.reference, bundle.digest)
        assert bundle.weights
        assert {Role.WEIGHTS} <= {item.role for item in bundle.files}
        assert all(item.path.is_absolute() for item in bundle.files)
        sizes = sorted(item.path.stat().st_size for item in bundle.files)
        assert sorted(layer.size_bytes for layer in artifact.manifest.layers) == sizes

    def test_a_removed_model_is_gone(self, store: Store, reference: Reference) -> None:
        """After `remove` the model is not found, not listed, and cannot be opened.

        To mend it: delete the name first, then what no other name needs, and count its
        bytes.
        """
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
        """Removing leaves nothing that stands in a new pull's way.

        To mend it: remove leftovers of the name, such as marks of being complete.
        """
        digest = store.pull(reference, ignore).digest
        store.remove(reference)

        assert digest == store.pull(reference, ignore).digest

    def test_progress_grows(self, store: Store, reference: Reference) -> None:
        """A pull reports how far it is: counts grow, and never beyond the total.

        To mend it: report the bytes that are done, of one stage and item, and never start
        over.
        """
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
        """An exception out of the progress callback ends the pull; nothing of it is visible.

        To mend it: write to a temporary folder, and remove it whatever exception comes.
        """

        def give_up(_progress: Progress) -> None:
            raise OperationCancelledError("Nobody waits any more.")

        with pytest.raises(OperationCancelledError):
            store.pull(reference, give_up)
        assert [] == list(store.list())
        with pytest.raises(ModelNotFoundError):
            store.resolve(reference)
        assert store.pull(reference, ignore) == store.resolve(reference)

    def test_nothing_is_visible_before_it_is_whole(
        self, make_store: Callable[[], Store], reference: Reference
    ) -> None:
        """While a pull runs, nobody else sees the model, by its name or in the list.

        To mend it: write to a place that nobody reads, check it, and rename it into its
        own.
        """
        other = make_store()
        seen: list[object] = []

        def look(progress: Progress) -> None:
            complete = progress.total_bytes is not None
            if complete and progress.done_bytes == progress.total_bytes:
                # All bytes are here: from now on it may appear.
                return
            seen.extend(other.list())
            with contextlib.suppress(ModelNotFoundError):
                seen.append(other.resolve(reference))

        make_store().pull(reference, look)

        assert [] == seen
        assert other.resolve(reference) in other.list()

    def test_what_comes_damaged_is_not_kept(
        self, store: Store, damaged_reference: Reference
    ) -> None:
        """Bytes that are not those that were announced are an `IntegrityError` and are gone.

        To mend it: hash while writing, compare at the end, and remove what differs
        (`stoker.layer_file` does).
        """
        if not self.knows_what_should_come:
            return
        with pytest.raises(IntegrityError):
            store.pull(damaged_reference, ignore)
        assert [] == list(store.list())
        with pytest.raises(ModelNotFoundError):
            store.resolve(damaged_reference)

    def test_a_model_in_use_stays(
        self, make_store: Callable[[], Store], reference: Reference
    ) -> None:
        """While somebody uses a model, removing it is an `InUseError`; afterwards it works.

        To mend it: note uses where other processes see them (`stoker.uses.UseDirectory`),
        and look before removing.
        """
        if not self.keeps_what_is_used:
            return
        user, other = make_store(), make_store()
        artifact = user.pull(reference, ignore)
        with user.use(artifact, "the contract"):
            with pytest.raises(InUseError):
                other.remove(reference)
            assert other.open(artifact).weights

        assert other.remove(reference).deleted

    def test_threads_share_a_store(self, store: Store, reference: Reference) -> None:
        """Any number of threads may call one store at once, while it pulls, too.

        To mend it: guard what the store keeps in memory by a lock, and hold none during a
        transfer.
        """

        def look(_number: int) -> bool:
            for _ in range(20):
                with contextlib.suppress(ModelNotFoundError):
                    store.open(store.resolve(reference))
                store.list()
            return True

        with ThreadPoolExecutor(5) as threads:
            pull = threads.submit(store.pull, reference, ignore)
            looks = [threads.submit(look, number) for number in range(4)]
            artifact = pull.result(WAIT_S)
            assert all(item.result(WAIT_S) for item in looks)

        assert [artifact] == list(store.list())

    def test_pulls_at_the_same_time_agree(
        self, make_store: Callable[[], Store], reference: Reference
    ) -> None:
        """Two pulls of one model, as by two processes, both end with a whole model.

        To mend it: give each pull a temporary folder of its own, and take what another one
        published as yours.
        """
        stores = [make_store(), make_store()]
        with ThreadPoolExecutor(len(stores)) as threads:
            pulls = [threads.submit(store.pull, reference, ignore) for store in stores]
            digests = {pull.result(WAIT_S).digest for pull in pulls}

        assert 1 == len(digests)
        for store in stores:
            assert store.open(store.resolve(reference)).weights
