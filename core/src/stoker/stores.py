"""The chain of stores: which store a name belongs to, and what all of them hold together.

Blocking code, safe to call from several threads at once, as stores are.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TypeVar

from stoker.artifact import Artifact
from stoker.backend import availability_of
from stoker.config import Settings
from stoker.errors import ConfigError, InvalidReferenceError, UnavailableError
from stoker.formats import FormatTable
from stoker.plugins import PluginManager
from stoker.reference import Reference
from stoker.store import Store, StoreContext, StoreSpec, WritableStore

AbilityT = TypeVar("AbilityT")


class Stores:
    """All installed stores; each is made when it is needed first.

    `_made` is guarded by `_lock`; everything else is fixed.
    """

    def __init__(self, plugins: PluginManager, settings: Settings) -> None:
        self._specs = plugins.stores
        self._formats: FormatTable = plugins.formats
        self._settings = settings
        self._made: dict[str, Store] = {}
        self._lock = threading.Lock()
        self.schemes = frozenset(scheme for spec in self._specs.values() for scheme in spec.schemes)

    def parse(self, name: str) -> Reference:
        """Read a model's name, with the schemes of the installed stores.

        Raises:
            InvalidReferenceError: The name follows no grammar.
        """
        return Reference.parse(name, schemes=self.schemes)

    def of(self, reference: Reference) -> Store:
        """The store that a reference belongs to.

        Raises:
            UnavailableError: No such store is installed, or it cannot work here.
            ConfigError: The config's choice is none.
        """
        return self._get(self._spec_for(reference))

    def writable(self, reference: Reference) -> WritableStore:
        """The store that a reference belongs to, which must be one that models are made in.

        Raises:
            InvalidReferenceError: That store only fetches.
        """
        spec = self._spec_for(reference)
        store = self._get(spec)
        if not isinstance(store, WritableStore):
            raise InvalidReferenceError(
                f"{reference.familiar!r} belongs to store {spec.name!r}, where models cannot be"
                " made, named or sent: choose a name without"
                f" {(reference.scheme or '') + ':'!r} in front."
            )
        return store

    def general(self, ability: type[AbilityT]) -> AbilityT:
        """The store for plain names, for what it offers besides.

        Args:
            ability: What it must be: `LoginKeeper`, `LayoutExchange`, ...

        Raises:
            UnavailableError: There is no such store, or it does not offer that.
            ConfigError: The config's choice is none.
        """
        return self._offered(self._general_spec(), ability)

    def offering(self, reference: Reference, ability: type[AbilityT]) -> AbilityT:
        """The store that a reference belongs to, for what it offers besides.

        Raises:
            UnavailableError: It does not offer that, or is not installed.
            ConfigError: The config's choice is none.
        """
        return self._offered(self._spec_for(reference), ability)

    def _offered(self, spec: StoreSpec, ability: type[AbilityT]) -> AbilityT:
        store = self._get(spec)
        if not isinstance(store, ability):
            raise UnavailableError(f"Store {spec.name!r} does not offer this.")
        return store

    def having(self, ability: type[AbilityT]) -> Iterator[AbilityT]:
        """All stores that offer something besides."""
        for spec in self._specs.values():
            if availability_of(spec).available:
                store = self._get(spec)
                if isinstance(store, ability):
                    yield store

    def resolve(self, name: str) -> Artifact:
        """Look up a model that is here, by any name that means it.

        Raises:
            ModelNotFoundError: It is not here; the message says how to get it.
        """
        reference = self.parse(name)
        return self.of(reference).resolve(reference)

    def tag(self, source: str, target: str) -> Artifact:
        """Give a model another name; a name that exists moves. Nothing is copied.

        Raises:
            ModelNotFoundError: The source is not here.
            InvalidReferenceError: A name follows no grammar, or they belong to different stores.
        """
        old, new = self.parse(source), self.parse(target)
        store = self.writable(new)
        if self.of(old) is not store:
            raise InvalidReferenceError(
                f"{old.familiar!r} and {new.familiar!r} belong to different stores: make a model"
                f" of that name with `stoker package {new.familiar} --from {old.familiar}`."
            )
        return store.tag(old, new)

    def list(self) -> list[Artifact]:
        """All models that are here, sorted by name."""
        artifacts = [
            artifact
            for spec in self._specs.values()
            if availability_of(spec).available
            for artifact in self._get(spec).list()
        ]
        return sorted(artifacts, key=lambda artifact: artifact.reference.familiar)

    def _spec_for(self, reference: Reference) -> StoreSpec:
        if reference.scheme is not None:
            for spec in self._specs.values():
                if reference.scheme in spec.schemes:
                    return spec
            raise UnavailableError(f"No installed store knows {reference.scheme + ':'!r} names.")
        return self._general_spec()

    def _general_spec(self) -> StoreSpec:
        general = {name: spec for name, spec in self._specs.items() if not spec.schemes}
        chosen = self._settings.config.defaults.store
        if chosen is not None:
            if chosen not in general:
                raise ConfigError(
                    source="configuration",
                    key="defaults.store",
                    problem=f"no store {chosen!r} is installed that takes plain names;"
                    f" there are: {', '.join(general) or 'none'}",
                )
            return general[chosen]
        if not general:
            raise UnavailableError(
                "No store for plain model names is installed: pip install stoker[registry]"
            )
        if len(general) > 1:
            raise ConfigError(
                source="configuration",
                key="defaults.store",
                problem=f"several stores take plain names ({', '.join(general)}); choose one",
            )
        return next(iter(general.values()))

    def _get(self, spec: StoreSpec) -> Store:
        with self._lock:
            if spec.name not in self._made:
                availability = availability_of(spec)
                if not availability.available:
                    raise UnavailableError(
                        f"Store {spec.name!r} cannot work here: {availability.reason}"
                    )
                options = self._settings.options("stores", spec.name, spec.options_type)
                directory = self._settings.home / "stores" / spec.name
                self._made[spec.name] = spec.factory(
                    StoreContext(directory=directory, options=options, formats=self._formats)
                )
            return self._made[spec.name]
