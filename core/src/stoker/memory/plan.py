"""The memory plan of a model: the length of its context, and what it takes with that."""

from __future__ import annotations

import enum

import attrs

from stoker.errors import InsufficientMemoryError
from stoker.estimate import DeviceNeed, MemoryEstimate
from stoker.memory.budget import Budget
from stoker.memory.size import memory_text

COMMON_CONTEXT_LENGTH = 8192
"""What is enough for most uses, and is given up only for lack of memory."""

_LENGTHS = (512, 1024, 2048, 4096, COMMON_CONTEXT_LENGTH, 16384, 32768)
_GENEROUS_SHARE = 0.25
"""A context longer than the common one may not bring a model above this share of the budget, so
that there is room for others."""


class ContextRule(enum.StrEnum):
    """What settled the length of a context."""

    OPTIONS = "set in the options"
    TRAINED = "all that the model was trained for"
    COMMON = "enough for most uses"
    GENEROUS = "a longer one would take more than a quarter of the memory budget"
    LONGEST = "the longest that is given unasked"
    FITTED = "the longest that fits into the memory budget"
    PREFERRED = "the longest that is useful with these options"
    NONE = "the backend does not tell"


@attrs.frozen
class MemoryPlan:
    """What loading a model will take, decided before it is loaded."""

    needs: tuple[DeviceNeed, ...]
    budget: Budget
    context_length: int | None = None
    """Tokens per sequence; None when the backend knows no contexts, or does not tell."""
    rule: ContextRule = ContextRule.NONE

    def require(self, name: str) -> None:
        """Check that the model fits when nothing else is loaded.

        Args:
            name: The model's, for the error.

        Raises:
            InsufficientMemoryError: It does not.
        """
        for need in self.needs:
            limit = self.budget.limit(need.device)
            if limit is not None and need.total_bytes > limit:
                raise InsufficientMemoryError(
                    _refusal(name, need, limit, self),
                    device=need.device,
                    needed_bytes=need.total_bytes,
                    budget_bytes=limit,
                )


def plan_memory(estimate: MemoryEstimate, budget: Budget) -> MemoryPlan:
    """Choose the context length, the same one every time: what else is loaded has no say."""
    if estimate.context_length is not None:
        length, rule = estimate.context_length, ContextRule.OPTIONS
    elif estimate.max_context_length is None and estimate.preferred_context_length is None:
        return MemoryPlan(estimate.needs(0), budget)
    else:
        length, rule = _choose(estimate, budget)
    return MemoryPlan(estimate.needs(length), budget, length, rule)


def _choose(estimate: MemoryEstimate, budget: Budget) -> tuple[int, ContextRule]:
    ceilings = [
        (_LENGTHS[-1], ContextRule.LONGEST),
        (estimate.max_context_length, ContextRule.TRAINED),
        (estimate.preferred_context_length, ContextRule.PREFERRED),
    ]
    most, reason = min(
        ((length, rule) for length, rule in ceilings if length is not None),
        key=lambda ceiling: ceiling[0],
    )
    lengths = sorted({min(length, most) for length in _LENGTHS}, reverse=True)
    for length in lengths:
        generous = length > COMMON_CONTEXT_LENGTH
        if _fits(estimate.needs(length), budget, _GENEROUS_SHARE if generous else 1.0):
            if length == most:
                return length, reason
            if length == COMMON_CONTEXT_LENGTH:
                return length, ContextRule.COMMON
            return length, ContextRule.GENEROUS if generous else ContextRule.FITTED
    # Too much even with the shortest: `MemoryPlan.require` says so with its numbers.
    return lengths[-1], ContextRule.FITTED


def _fits(needs: tuple[DeviceNeed, ...], budget: Budget, share: float) -> bool:
    limits = [(need, budget.limit(need.device)) for need in needs]
    return all(limit is None or need.total_bytes <= limit * share for need, limit in limits)


def _refusal(name: str, need: DeviceNeed, limit: int, plan: MemoryPlan) -> str:
    parts = {
        "weights": need.mapped_bytes + need.weights_bytes,
        "KV cache": need.cache_bytes,
        "buffers": need.buffer_bytes,
        "the process": need.process_bytes,
        "kept prefixes": need.reserve_bytes,
    }
    told = ", ".join(f"{what} {memory_text(size)}" for what, size in parts.items() if size)
    where = "memory" if need.device == "host" else f"the memory of {need.device}"
    context = f" with a context of {plan.context_length} tokens" if plan.context_length else ""
    advice = (
        "set a shorter context_length in its options, or a larger memory.budget"
        if plan.rule is ContextRule.OPTIONS
        else "choose a smaller model, or set a larger memory.budget"
    )
    return (
        f"{name} needs {memory_text(need.total_bytes)} of {where}{context} ({told}), but the budget"
        f" is {memory_text(limit)}: {advice}."
    )
