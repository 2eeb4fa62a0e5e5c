from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stoker.backend import Availability
from stoker.config import Settings, Source
from stoker.errors import (
    ConfigError,
    InvalidReferenceError,
    ModelNotFoundError,
    UnavailableError,
)
from stoker.formats import FormatTable
from stoker.reference import Reference
from stoker.store import ContentSource, Removal, Store, StoreContext, StoreSpec
from stoker.stores import Stores


class ShelfStore(Store):
    """A store that has nothing, and remembers what it was made with."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def resolve(self, reference: Reference) -> Any:
        raise ModelNotFoundError(f"No {reference} here.", model=str(reference))

    def pull(self, reference: Reference, progress: Any) -> Any:
        return self.resolve(reference)

    def list(self) -> Any:
        return ()

    def open(self, artifact: Any) -> Any:
        return self.resolve(artifact.reference)

    def remove(self, reference: Reference) -> Removal:
        return self.resolve(reference)  # type: ignore[no-any-return]


class SharedShelf(ShelfStore, ContentSource):
    """One that others may pull from."""

    def manifest(self, repository: str, reference: str) -> Any:
        raise ModelNotFoundError("none", model=repository)

    def blob(self, repository: str, digest: Any) -> Any:
        raise ModelNotFoundError("none", model=repository)

    def tags(self, repository: str) -> Any:
        return ()

    def repositories(self) -> Any:
        return ()


def _stores(tmp_path: Path, *specs: StoreSpec, **config: Any) -> Stores:
    plugins: Any = SimpleNamespace(
        stores={spec.name: spec for spec in specs}, formats=FormatTable.of()
    )
    sources = (Source("test.toml", config),) if config else ()
    return Stores(plugins, Settings(home=tmp_path, sources=sources))


PLAIN = StoreSpec("plain", SharedShelf)
OTHER = StoreSpec("other", ShelfStore)
WHEELS = StoreSpec("wheels", ShelfStore, schemes=("wheel",))


def test_a_scheme_leads_to_its_store_and_plain_names_to_the_other(tmp_path: Path) -> None:
    """Each store gets its own folder in the home, and is made once."""
    stores = _stores(tmp_path, PLAIN, WHEELS)

    wheel = stores.of(stores.parse("wheel:x==1"))
    plain = stores.of(stores.parse("ai/x"))

    assert isinstance(wheel, ShelfStore)
    assert tmp_path / "stores" / "wheels" == wheel.context.directory
    assert isinstance(plain, SharedShelf)
    assert plain is stores.of(stores.parse("ai/y"))


def test_of_several_general_stores_the_config_chooses(tmp_path: Path) -> None:
    """Without a choice there is an error that names them; a wrong choice is one as well."""
    with pytest.raises(ConfigError, match=r"plain, other.*choose one"):
        _stores(tmp_path, PLAIN, OTHER).of(Reference.parse("x"))
    with pytest.raises(ConfigError, match="no store 'none'"):
        _stores(tmp_path, PLAIN, defaults={"store": "none"}).of(Reference.parse("x"))

    chosen = _stores(tmp_path, PLAIN, OTHER, defaults={"store": "other"}).of(Reference.parse("x"))

    assert not isinstance(chosen, SharedShelf)


def test_without_a_store_the_error_says_what_to_install(tmp_path: Path) -> None:
    """Nobody can be asked for plain names, or for a scheme that is not claimed."""
    stores = _stores(tmp_path)

    with pytest.raises(UnavailableError, match="pip install"):
        stores.of(Reference.parse("x"))
    with pytest.raises(UnavailableError, match="wheel:"):
        stores.of(Reference.parse("wheel:x", schemes={"wheel"}))


def test_models_are_made_only_in_stores_that_can(tmp_path: Path) -> None:
    """A store that only fetches is said so."""
    stores = _stores(tmp_path, PLAIN, WHEELS)

    with pytest.raises(InvalidReferenceError, match=r"'wheels'.*'wheel:'"):
        stores.writable(stores.parse("wheel:x"))


def test_a_store_that_cannot_work_here_is_left_out_of_lists(tmp_path: Path) -> None:
    """Asking it directly gives its reason; listing goes on without it."""
    off = StoreSpec(
        "off",
        ShelfStore,
        schemes=("off",),
        probe=lambda: Availability(available=False, reason="no disk today"),
    )
    stores = _stores(tmp_path, PLAIN, off)

    assert [] == stores.list()
    assert 1 == len(list(stores.having(ContentSource)))
    with pytest.raises(UnavailableError, match="no disk today"):
        stores.of(stores.parse("off:x"))
