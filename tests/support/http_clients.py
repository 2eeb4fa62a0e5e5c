"""HTTP clients that packages keep in caches of their own until the process ends."""

from __future__ import annotations

import contextlib
import gc
import warnings
from collections.abc import Iterator

import httpx
import httpx2

KINDS = (httpx.Client, httpx2.Client)


@contextlib.contextmanager
def clients_closed() -> Iterator[None]:
    """Close the clients that were made inside the block: nobody else would, and it shows."""
    with warnings.catch_warnings():
        # Some objects only complain when they are looked at.
        warnings.simplefilter("ignore")
        before = {id(each) for each in gc.get_objects() if issubclass(type(each), KINDS)}
        yield
        for each in gc.get_objects():
            if issubclass(type(each), KINDS) and id(each) not in before:
                each.close()
        gc.collect()
