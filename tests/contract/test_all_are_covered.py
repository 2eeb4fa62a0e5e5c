"""Every plugin of this repository is tested by the contract of its seam, new ones as well."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from stoker import testing
from stoker.plugins import PluginManager
from stoker.testing.contract import Contract

ROOT = Path(__file__).parents[2]

KEEPERS = {
    "backends": {
        "example.parrot": "TestParrotBackend(BackendContract)",
        "llama.cpp": "TestLlamaCppBackend(BackendContract)",
        "mlx": "TestBackend(BackendContract)",
        "remote": "TestRemoteBackend(BackendContract)",
    },
    "stores": {
        "oci": "TestOciStore(WritableStoreContract)",
        "file": "TestFileStore(StoreContract)",
        "hf-cache": "TestHfCacheStore(StoreContract)",
        "wheel": "TestWheelStore(StoreContract)",
    },
    "transports": {
        "http": "TestHttp(TransportContract)",
        "lines": "TestLines(TransportContract)",
        "stdio": "TestStdio(TransportContract)",
    },
}
"""Who tests each record. Dialects and parsers are all taken from the lists of them."""


def _classes() -> set[str]:
    """The test classes of this repository, with a base each."""
    paths = [*ROOT.glob("tests/**/test_*.py"), *ROOT.glob("plugins-example/**/contract.py")]
    return {
        f"{node.name}({base.id})"
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if isinstance(base, ast.Name)
    }


@pytest.mark.parametrize("seam", KEEPERS)
def test_every_plugin_keeps_its_contract(seam: str) -> None:
    """Each installed record has a class of tests that subclasses the kit."""
    assert sorted(KEEPERS[seam]) == sorted(getattr(PluginManager(), seam))
    assert set() == set(KEEPERS[seam].values()) - _classes()


def _standard_tests() -> list[Any]:
    contracts = [
        kind
        for name in testing.__all__
        if inspect.isclass(kind := getattr(testing, name)) and issubclass(kind, Contract)
    ]
    return sorted(
        {
            function
            for kind in contracts
            for name, function in inspect.getmembers(kind, inspect.isfunction)
            if name.startswith("test_")
        },
        key=lambda function: function.__qualname__,
    )


@pytest.mark.parametrize("test", _standard_tests(), ids=lambda test: test.__qualname__)
def test_every_standard_test_says_how_to_mend_it(test: Any) -> None:
    """Its docstring says what is promised, and what to do when the promise is broken."""
    assert re.search(r"\n\s+To mend it: \w", test.__doc__ or "")
