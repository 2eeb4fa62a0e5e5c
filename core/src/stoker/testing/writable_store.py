"""The contract of stores that models are made in and sent from (`WritableStore`), as tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from stoker.errors import (
    InvalidInputError,
    ModelNotFoundError,
    OperationCancelledError,
    TransferError,
)
from stoker.reference import Reference
from stoker.store import PackageSource, Progress, WritableStore
from stoker.testing.contract import missing_fixture
from stoker.testing.store import StoreContract, ignore


class WritableStoreContract(StoreContract):
    """What every `WritableStore` must do, besides what every store does.

    Override the fixtures below, and those of `StoreContract`.
    """

    @pytest.fixture
    def make_store(self) -> Callable[[], WritableStore]:
        """As in `StoreContract`. Override this."""
        missing_fixture(self, "make_store", "return a function that makes a store on one folder")

    @pytest.fixture
    def other_store(self) -> WritableStore:
        """An empty store on another folder, as on another machine. Override this."""
        missing_fixture(self, "other_store", "return an empty store on another folder")

    @pytest.fixture
    def source(self) -> PackageSource:
        """Files of a small model. Override this."""
        missing_fixture(self, "source", "return a PackageSource with weights")

    @pytest.fixture
    def made(self) -> Reference:
        """A name for it, in a registry that takes it. Override this."""
        missing_fixture(self, "made", "return a reference that can be pushed")

    @pytest.fixture
    def unreachable(self) -> Reference:
        """A name in a registry that cannot be reached. Override this."""
        missing_fixture(self, "unreachable", "return a reference whose registry is away")

    @pytest.fixture
    def store(self, make_store: Callable[[], WritableStore]) -> WritableStore:
        """An empty store."""
        return make_store()

    def test_a_packaged_model_is_here(
        self, store: WritableStore, source: PackageSource, made: Reference
    ) -> None:
        """What was made of files is resolved, listed and opened, with the files' own bytes.

        To mend it: let `package` end with `resolve`, and copy the files or link them.
        """
        artifact = store.package(made, source, ignore)
        weights = store.open(artifact).weights

        assert artifact == store.resolve(made)
        assert [artifact] == list(store.list())
        assert [path.read_bytes() for path in source.weights] == [
            path.read_bytes() for path in weights
        ]

    def test_the_same_files_are_the_same_model(
        self,
        store: WritableStore,
        other_store: WritableStore,
        source: PackageSource,
        made: Reference,
    ) -> None:
        """Who packages the same files, here or elsewhere, now or later, gets the same digest.

        To mend it: write no times, paths or names of machines into what the digest is of.
        """
        digests = {
            store.package(made, source, ignore).digest,
            store.package(made, source, ignore).digest,
            other_store.package(made, source, ignore).digest,
        }

        assert 1 == len(digests)

    def test_files_that_are_not_there_make_no_model(
        self, store: WritableStore, source: PackageSource, made: Reference, tmp_path: Path
    ) -> None:
        """A missing file is bad input, and nothing is left of the attempt.

        To mend it: open all files before anything is written under a name.
        """
        broken = attrs.evolve(source, weights=(*source.weights, tmp_path / "no such file"))

        with pytest.raises(InvalidInputError):
            store.package(made, broken, ignore)
        assert [] == list(store.list())

    def test_packaging_can_be_given_up(
        self, store: WritableStore, source: PackageSource, made: Reference
    ) -> None:
        """An exception out of the progress callback ends it; nothing of it is visible.

        To mend it: write the name last, and let `OperationCancelledError` through.
        """
        with pytest.raises(OperationCancelledError):
            store.package(made, source, _give_up)
        assert [] == list(store.list())
        assert store.package(made, source, ignore) == store.resolve(made)

    def test_a_tag_is_another_name(
        self, store: WritableStore, source: PackageSource, made: Reference
    ) -> None:
        """Both names mean the same bytes, and each can be removed without the other.

        To mend it: count the names of a model, and delete its files with the last one.
        """
        digest = store.package(made, source, ignore).digest
        other = attrs.evolve(made, tag="other")
        tagged = store.tag(made, other)

        assert (digest, digest) == (tagged.digest, store.resolve(other).digest)
        removal = store.remove(made)
        assert () == removal.deleted
        assert store.open(store.resolve(other)).weights
        with pytest.raises(ModelNotFoundError):
            store.resolve(made)

    def test_a_tag_that_exists_moves(
        self, store: WritableStore, source: PackageSource, made: Reference, reference: Reference
    ) -> None:
        """Tagging a name that is taken is no error: it means the new model from now on.

        To mend it: replace the name in one step, so that nobody finds it gone.
        """
        digest = store.pull(reference, ignore).digest
        store.package(made, source, ignore)
        store.tag(reference, made)

        assert digest == store.resolve(made).digest

    def test_only_what_is_here_has_another_name(
        self, store: WritableStore, made: Reference
    ) -> None:
        """Tagging what is missing is a `ModelNotFoundError`, and makes no name.

        To mend it: resolve the source first.
        """
        with pytest.raises(ModelNotFoundError):
            store.tag(made, attrs.evolve(made, tag="other"))
        assert [] == list(store.list())

    def test_what_was_pushed_can_be_pulled_elsewhere(
        self,
        store: WritableStore,
        other_store: WritableStore,
        source: PackageSource,
        made: Reference,
    ) -> None:
        """A pull elsewhere gives the same digest and the same bytes; counts of the push grow.

        To mend it: send all layers before the manifest, and the manifest as it was stored.
        """
        artifact = store.package(made, source, ignore)
        reports: list[Progress] = []
        digest = store.push(made, reports.append)
        pulled = other_store.pull(made, ignore)

        assert artifact.digest == digest == pulled.digest
        assert [path.read_bytes() for path in source.weights] == [
            path.read_bytes() for path in other_store.open(pulled).weights
        ]
        last: dict[tuple[str, str], int] = {}
        for report in reports:
            assert report.total_bytes is None or report.done_bytes <= report.total_bytes
            assert last.get((report.stage, report.item), 0) <= report.done_bytes
            last[report.stage, report.item] = report.done_bytes

    def test_only_what_is_here_is_pushed(self, store: WritableStore, made: Reference) -> None:
        """Pushing what is missing is a `ModelNotFoundError`.

        To mend it: resolve the model before anybody is asked.
        """
        with pytest.raises(ModelNotFoundError):
            store.push(made, ignore)

    def test_a_push_that_fails_says_so(
        self, store: WritableStore, source: PackageSource, unreachable: Reference
    ) -> None:
        """A registry that is away is a `TransferError`; the model stays here.

        To mend it: convert what the client raises, at the seam, and swallow nothing.
        """
        artifact = store.package(unreachable, source, ignore)

        with pytest.raises(TransferError):
            store.push(unreachable, ignore)
        assert artifact == store.resolve(unreachable)


def _give_up(_progress: Progress) -> None:
    raise OperationCancelledError("Nobody waits any more.")
