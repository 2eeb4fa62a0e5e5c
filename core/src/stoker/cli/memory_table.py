"""A memory plan as a table."""

from __future__ import annotations

import click

from stoker.cli.output import print_table
from stoker.memory.plan import MemoryPlan
from stoker.memory.size import memory_text


def print_memory(plan: MemoryPlan) -> None:
    """Print what a model will take, device by device, and how long its context is."""
    if plan.context_length is not None:
        click.echo(f"Context: {plan.context_length} tokens ({plan.rule})")
        click.echo()
    print_table(
        (
            "MEMORY",
            "WEIGHTS",
            "MAPPED",
            "KV CACHE",
            "BUFFERS",
            "PROCESS",
            "RESERVE",
            "TOTAL",
            "BUDGET",
        ),
        [
            (
                need.device,
                memory_text(need.weights_bytes),
                memory_text(need.mapped_bytes),
                memory_text(need.cache_bytes),
                memory_text(need.buffer_bytes),
                memory_text(need.process_bytes),
                memory_text(need.reserve_bytes),
                memory_text(need.total_bytes),
                "no limit" if limit is None else memory_text(limit),
            )
            for need, limit in ((need, plan.budget.limit(need.device)) for need in plan.needs)
        ],
    )
