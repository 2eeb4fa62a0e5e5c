from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stoker.application import LoadPlan
from stoker.artifact import Artifact, BundleFile, ModelBundle, ModelFacts
from stoker.digest import Digest
from stoker.estimate import DeviceNeed
from stoker.manifest import Descriptor, Manifest
from stoker.media_types import MediaType, Role
from stoker.memory.budget import Budget
from stoker.memory.plan import MemoryPlan
from stoker.plugins import PluginManager
from stoker.reference import Reference

FAULTY = Path(__file__).parents[2] / "support" / "faulty"

MakePlan = Callable[..., LoadPlan]


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> PluginManager:
    """The plugin with the backend that goes wrong on request, as if it were installed."""
    monkeypatch.syspath_prepend(FAULTY)
    monkeypatch.setenv("PYTHONPATH", str(FAULTY))
    return PluginManager(allow={"faulty"})


@pytest.fixture
def make_plan(faulty: PluginManager, tmp_path: Path) -> MakePlan:
    """Makes the plan for a model whose answer is a given text."""

    def make(
        text: str = "one two three",
        *,
        load: str = "ok",
        delay_s: float = 0.0,
        keep_alive_s: float = 60,
        name: str = "test/words",
        priority: int = 0,
        pin: bool = False,
        need_bytes: int = 0,
        budget_bytes: int | None = None,
        **options: Any,
    ) -> LoadPlan:
        spec = faulty.backends["faulty"]
        (media_type,) = spec.media_types
        path = tmp_path / f"{hash(text)}.txt"
        path.write_text(text)
        reference = Reference.parse(name)
        limits = {} if budget_bytes is None else {"host": budget_bytes}
        layer = Descriptor(media_type, Digest.of(text.encode()), len(text))
        config = Descriptor(MediaType("application/json"), Digest.of(b"{}"), 2)
        artifact = Artifact(
            reference, layer.digest, Manifest(config, (layer,)), ModelFacts(), store="test"
        )
        files = (BundleFile(path, Role.WEIGHTS, media_type),)
        return LoadPlan(
            artifact=artifact,
            bundle=ModelBundle(reference, layer.digest, files),
            backend=spec,
            plugin="faulty",
            options=spec.options_type(load=load, delay_s=delay_s, **options),
            memory=MemoryPlan((DeviceNeed(weights_bytes=need_bytes),), Budget(limits)),
            keep_alive_s=keep_alive_s,
            priority=priority,
            pin=pin,
        )

    return make
