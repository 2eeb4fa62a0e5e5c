"""Tests of `stoker.supervisor.model_uses`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any, cast

import pytest

from stoker.errors import LoadError, ModelNotFoundError
from stoker.supervisor.model_uses import ModelUses

WAIT_S = 10


class Shelf:
    """The store of all models: it counts who uses them."""

    def __init__(self) -> None:
        self.users = 0
        self.has_model = True

    def of(self, _reference: object) -> Shelf:
        """Itself."""
        return self

    @contextlib.contextmanager
    def use(self, _artifact: object, user: str) -> Iterator[None]:
        """Count."""
        assert "process" in user
        if not self.has_model:
            raise ModelNotFoundError("It is gone.", model="x")
        self.users += 1
        yield
        self.users -= 1


class Named:
    """An artifact, as far as it matters."""

    reference = None


ARTIFACT: Any = Named()


async def test_a_use_lasts_until_the_runner_has_ended() -> None:
    """The end of the load does not end it; the end of the runner does."""
    shelf, ended = Shelf(), asyncio.Event()
    uses = ModelUses(cast("Any", shelf))
    async with uses.begin(ARTIFACT) as use:
        use.last_until(ended)
    assert 1 == shelf.users

    ended.set()
    await asyncio.wait_for(uses.close(), WAIT_S)

    assert 0 == shelf.users


async def test_a_failed_load_ends_the_use() -> None:
    """Nothing is left of it."""
    shelf = Shelf()
    uses = ModelUses(cast("Any", shelf))

    async def fail() -> None:
        async with uses.begin(ARTIFACT):
            assert 1 == shelf.users
            raise LoadError("Too large.")

    with pytest.raises(LoadError):
        await fail()
    assert 0 == shelf.users


async def test_a_model_that_is_gone_is_not_loaded() -> None:
    """The store's error reaches whoever asked for the load."""
    shelf = Shelf()
    shelf.has_model = False

    with pytest.raises(ModelNotFoundError):
        async with ModelUses(cast("Any", shelf)).begin(ARTIFACT):
            pytest.fail("It must not begin.")
