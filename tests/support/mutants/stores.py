"""Stores with one fault each; `tools/mutations.py` looks whether the kit finds it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from copy_store import CopyStore, make_source

from stoker.artifact import Artifact, ModelBundle
from stoker.errors import ModelNotFoundError, OperationCancelledError
from stoker.folder_store import FetchedModel
from stoker.reference import Reference
from stoker.store import Progress, Removal, ReportProgress, Store
from stoker.testing import StoreContract


class Mutant(StoreContract):
    """Makes the store that a subclass names."""

    store_class: type[CopyStore] = CopyStore

    @pytest.fixture
    def make_store(self, tmp_path: Path) -> Callable[[], Store]:
        make_source(tmp_path / "source")
        return lambda: self.store_class(tmp_path / "store", tmp_path / "source")

    @pytest.fixture
    def reference(self) -> Reference:
        return Reference.parse("copy:tiny", schemes=("copy",))

    @pytest.fixture
    def missing_reference(self) -> Reference:
        return Reference.parse("copy:missing", schemes=("copy",))

    @pytest.fixture
    def damaged_reference(self) -> Reference:
        return Reference.parse("copy:damaged", schemes=("copy",))


class Hasty(CopyStore):
    """Shows the folder of a pull under way."""

    def pull(self, reference: Reference, progress: ReportProgress) -> Artifact:
        super().pull(reference, lambda _progress: None)
        return super().pull(reference, progress) if self._report_later(progress) else None

    def _report_later(self, progress: ReportProgress) -> bool:
        for done in range(3):
            progress(Progress("copying", "tiny", done, 3))
        return True


class TestHasty(Mutant):
    """It shows a model before its bytes were checked."""

    caught_by = frozenset(
        {"test_nothing_is_visible_before_it_is_whole", "test_a_pull_can_be_given_up"}
    )
    store_class = Hasty


class Trusting(CopyStore):
    checks = False


class TestTrusting(Mutant):
    """It does not compare what came with what was announced."""

    caught_by = frozenset({"test_what_comes_damaged_is_not_kept"})
    store_class = Trusting


class Stubborn(CopyStore):
    def fetch(
        self, reference: Reference, files: Path, scratch: Path, progress: ReportProgress
    ) -> FetchedModel:
        def ignoring(report: Progress) -> None:
            with contextlib.suppress(OperationCancelledError):
                progress(report)

        return super().fetch(reference, files, scratch, ignoring)


class TestStubborn(Mutant):
    """It finishes pulls that nobody waits for."""

    caught_by = frozenset({"test_a_pull_can_be_given_up"})
    store_class = Stubborn


class Forgetful(CopyStore):
    def __init__(self, directory: Path, source: Path) -> None:
        super().__init__(directory, source)
        self._known: set[Reference] = set()

    def pull(self, reference: Reference, progress: ReportProgress) -> Artifact:
        self._known.add(reference)
        return super().pull(reference, progress)

    def resolve(self, reference: Reference) -> Artifact:
        if reference not in self._known:
            raise ModelNotFoundError(f"{reference} is not here.", model=str(reference))
        return super().resolve(reference)


class TestForgetful(Mutant):
    """It keeps names in memory only."""

    caught_by = frozenset(
        {
            "test_another_store_on_the_folder_sees_it",
            "test_nothing_is_visible_before_it_is_whole",
        }
    )
    store_class = Forgetful


class Raw(CopyStore):
    def fetch(
        self, reference: Reference, files: Path, scratch: Path, progress: ReportProgress
    ) -> FetchedModel:
        try:
            return super().fetch(reference, files, scratch, progress)
        except ModelNotFoundError as exc:
            raise FileNotFoundError(reference.repository) from exc


class TestRaw(Mutant):
    """It lets the exceptions of its source through."""

    caught_by = frozenset({"test_a_missing_model_is_not_found"})
    store_class = Raw


class Wasteful(CopyStore):
    def pull(self, reference: Reference, progress: ReportProgress) -> Artifact:
        with contextlib.suppress(ModelNotFoundError):
            self.remove(reference)
        return super().pull(reference, progress)


class TestWasteful(Mutant):
    """It fetches again what is here."""

    caught_by = frozenset({"test_a_second_pull_is_a_no_op"})
    store_class = Wasteful


class Sticky(CopyStore):
    def list(self) -> Sequence[Artifact]:
        return [*super().list(), *self._removed]

    def remove(self, reference: Reference) -> Removal:
        artifact = self.resolve(reference)
        removal = super().remove(reference)
        self._removed.append(artifact)
        return removal


class TestSticky(Mutant):
    """It lists what was removed."""

    caught_by = frozenset({"test_a_removed_model_is_gone"})
    store_class = Sticky


class Backwards(CopyStore):
    def fetch(
        self, reference: Reference, files: Path, scratch: Path, progress: ReportProgress
    ) -> FetchedModel:
        progress(Progress("looking", "tiny", 2, 3))
        progress(Progress("looking", "tiny", 1, 3))
        return super().fetch(reference, files, scratch, progress)


class TestBackwards(Mutant):
    """Its progress goes back."""

    caught_by = frozenset({"test_progress_grows"})
    store_class = Backwards


class Ruthless(CopyStore):
    @contextlib.contextmanager
    def use(self, artifact: Artifact, user: str) -> Iterator[None]:
        yield


class TestRuthless(Mutant):
    """It removes what others are using."""

    caught_by = frozenset({"test_a_model_in_use_stays"})
    store_class = Ruthless


class Partial(CopyStore):
    def open(self, artifact: Artifact) -> ModelBundle:
        bundle = super().open(artifact)
        return ModelBundle(bundle.reference, bundle.digest, bundle.files[:1])


class TestPartial(Mutant):
    """It leaves files out of the bundle."""

    caught_by = frozenset({"test_a_bundle_has_the_layers_as_files"})
    store_class = Partial
