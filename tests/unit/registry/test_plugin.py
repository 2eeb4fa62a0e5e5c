"""Tests of `stoker_registry.plugin`."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import msgspec
import pytest

from stoker.formats import FormatTable
from stoker.plugins import PluginManager, PluginStatus
from stoker.store import StoreContext
from stoker_registry.options import OciOptions
from stoker_registry.plugin import stoker_register_formats, stoker_register_stores


def test_the_plugin_is_found() -> None:
    """The installed entry point registers the stores, `oci` without a scheme, and the formats."""
    manager = PluginManager(allow=["registry"])
    plugin = next(plugin for plugin in manager.plugins if plugin.name == "registry")

    assert PluginStatus.LOADED == plugin.status
    assert "stoker-registry" == plugin.distribution
    assert {"oci": (), "file": ("file",), "hf-cache": ("hf-cache",)} == {
        spec.name: spec.schemes for spec in manager.stores.values()
    }
    assert set(stoker_register_formats()) <= set(manager.formats.rules)


def test_the_factory_makes_a_store(tmp_path: Path) -> None:
    """The records' factories make stores in folders that need not exist."""
    for spec in stoker_register_stores():
        context = StoreContext(tmp_path / spec.name / "b", spec.options_type(), FormatTable.of())

        assert [] == list(spec.factory(context).list())
        assert spec.probe().available


def test_a_missing_client_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its HTTP client the store says what to install."""

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    spec, *_ = stoker_register_stores()

    assert "oci" == spec.name
    assert not spec.probe().available
    assert "stoker[registry]" in spec.probe().reason


def test_options_are_decoded_strictly() -> None:
    """Options have their defaults, and unknown or senseless ones are refused."""
    good = msgspec.convert({"insecure_hosts": ["a:1"], "timeout_s": 5}, OciOptions)

    assert OciOptions(insecure_hosts=("a:1",), timeout_s=5) == good
    for bad in ({"timeout": 5}, {"timeout_s": 0}, {"insecure_hosts": "a"}, {"ca_file": 1}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(bad, OciOptions)


def test_nothing_heavy_is_imported() -> None:
    """Loading the plugin, and listing a store, import no registry client."""
    code = (
        "import sys, pathlib, tempfile\n"
        "from stoker.formats import FormatTable\n"
        "from stoker.store import StoreContext\n"
        "from stoker_registry.plugin import stoker_register_stores\n"
        "for spec in stoker_register_stores():\n"
        "    folder = pathlib.Path(tempfile.mkdtemp())\n"
        "    spec.factory(StoreContext(folder, spec.options_type(), FormatTable.of())).list()\n"
        "print(sorted({'requests', 'urllib3', 'tarfile', 'jsonschema'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert "[]\n" == done.stdout
