"""The planner: asks a backend what a model takes, and settles how it is loaded."""

from __future__ import annotations

import attrs
import msgspec

from stoker.artifact import ModelBundle
from stoker.backend import BackendSpec
from stoker.config import MemoryConfig
from stoker.estimate import DeviceNeed, MemoryEstimate
from stoker.memory.budget import Budget
from stoker.memory.plan import MemoryPlan, plan_memory


@attrs.frozen
class MemoryPlanner:
    """Plans by a configuration. Blocking: it reads headers of files."""

    config: MemoryConfig

    def plan(
        self, spec: BackendSpec, bundle: ModelBundle, options: msgspec.Struct
    ) -> tuple[MemoryPlan, msgspec.Struct]:
        """Plan a load.

        Returns:
            The plan, and the options with the context length that it chose.

        Raises:
            StokerError: The backend cannot make its estimate, or the budget is set wrongly.
        """
        estimate = _by_size(bundle) if spec.estimate is None else spec.estimate(bundle, options)
        plan = plan_memory(estimate, Budget.from_config(self.config, estimate.devices))
        if plan.context_length is not None:
            options = estimate.configure(options, plan.context_length)
        return plan, options


def _by_size(bundle: ModelBundle) -> MemoryEstimate:
    """The least that any backend takes: the weights."""
    size_bytes = sum(path.stat().st_size for path in bundle.weights if path.is_file())
    needs = (DeviceNeed(weights_bytes=size_bytes),)
    return MemoryEstimate(needs=lambda _length: needs)
