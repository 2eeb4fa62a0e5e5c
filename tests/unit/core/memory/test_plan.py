from __future__ import annotations

from collections.abc import Callable

import pytest

from stoker.config import MemoryConfig
from stoker.errors import InsufficientMemoryError
from stoker.estimate import DeviceMemory, DeviceNeed, MemoryEstimate
from stoker.memory.budget import Budget
from stoker.memory.machine import host_memory_bytes
from stoker.memory.plan import ContextRule, plan_memory

MIB = 1024 * 1024


def _needs(weights_mib: float, token_kib: float) -> Callable[[int], tuple[DeviceNeed, ...]]:
    return lambda length: (
        DeviceNeed(
            weights_bytes=int(weights_mib * MIB), cache_bytes=int(length * token_kib * 1024)
        ),
    )


@pytest.mark.parametrize(
    ("trained", "fixed", "preferred", "budget_mib", "expected"),
    [
        # 100 MiB of weights and 100 KiB for each token.
        (131072, None, None, 100_000, (32768, ContextRule.LONGEST)),
        (16384, None, None, 100_000, (16384, ContextRule.TRAINED)),
        (6000, None, None, 100_000, (6000, ContextRule.TRAINED)),
        (131072, None, None, 8000, (16384, ContextRule.GENEROUS)),
        (131072, None, None, 1000, (8192, ContextRule.COMMON)),
        (131072, None, None, 600, (4096, ContextRule.FITTED)),
        (131072, None, None, 160, (512, ContextRule.FITTED)),
        (131072, 100_000, None, 100, (100_000, ContextRule.OPTIONS)),
        (131072, None, 3000, 100_000, (3000, ContextRule.PREFERRED)),
    ],
)
def test_the_context_is_chosen_to_fit(
    trained: int,
    fixed: int | None,
    preferred: int | None,
    budget_mib: int,
    expected: tuple[int, ContextRule],
) -> None:
    """Never the trained maximum blindly: common if it fits, longer if memory is ample."""
    estimate = MemoryEstimate(
        _needs(100, 100),
        max_context_length=trained,
        context_length=fixed,
        preferred_context_length=preferred,
    )

    plan = plan_memory(estimate, Budget({"host": budget_mib * MIB}))

    assert expected == (plan.context_length, plan.rule)
    assert estimate.needs(expected[0]) == plan.needs


def test_what_can_never_fit_is_refused_with_the_numbers() -> None:
    """The sentence says what is needed, for what, and what there is."""
    estimate = MemoryEstimate(_needs(2048, 64), max_context_length=4096)
    plan = plan_memory(estimate, Budget({"host": 1024 * MIB}))

    with pytest.raises(InsufficientMemoryError) as caught:
        plan.require("ai/large")

    assert ("host", 2080 * MIB, 1024 * MIB) == (
        caught.value.device,
        caught.value.needed_bytes,
        caught.value.budget_bytes,
    )
    assert str(caught.value).startswith(
        "ai/large needs 2.0 GiB of memory with a context of 512 tokens"
        " (weights 2.0 GiB, KV cache 32 MiB), but the budget is 1.0 GiB:"
    )


def test_every_device_has_its_own_budget() -> None:
    """A model must fit everywhere; a device of unknown size has no limit."""
    devices = (DeviceMemory("GPU0", 1000), DeviceMemory("GPU1", None))
    budget = Budget.from_config(MemoryConfig(devices={"GPU0": "10 KiB"}), devices)

    assert {"host": int(host_memory_bytes() * 0.8), "GPU0": 10 * 1024} == budget.limits
    assert 800 == Budget.from_config(MemoryConfig(), devices).limit("GPU0")


@pytest.mark.parametrize(
    ("setting", "expected"), [("12 MiB", 12 * MIB), (0.5, host_memory_bytes() // 2)]
)
def test_the_budget_is_an_amount_or_a_share(setting: str | float, expected: int) -> None:
    """A share is one of what the machine or the control group has."""

    assert expected == Budget.from_config(MemoryConfig(budget=setting)).limit("host")
