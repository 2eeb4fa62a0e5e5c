"""What stoker reads of this plugin: a listener with its options, metrics, and a command."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import msgspec

import stoker
from stoker.command import CommandSpec
from stoker.listener import Listener, ListenerContext, ListenerSpec
from stoker.metrics import MetricSource, MetricSpec

if TYPE_CHECKING:
    import click


class RecorderOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[listeners.recorder]` table of the config."""

    max_bytes: Annotated[int, msgspec.Meta(ge=1024)] = 10_000_000
    """How large the file may become before a new one is begun; one old file is kept."""


def make_listener(context: ListenerContext) -> Listener:
    """Make the listener."""
    from stoker_recorder.recorder import Recorder  # noqa: PLC0415 - only servers need it

    options = msgspec.convert(context.options, RecorderOptions, from_attributes=True)
    return Recorder(context.directory, max_bytes=options.max_bytes)


def make_metrics() -> MetricSource:
    """Make the source of metrics."""
    from stoker_recorder.callers import CallerMetrics  # noqa: PLC0415 - only servers need it

    return CallerMetrics()


def make_command() -> click.Command:
    """Make the command."""
    from stoker_recorder.summary import command  # noqa: PLC0415 - only who types it needs it

    return command


@stoker.hookimpl
def stoker_register_listeners() -> Iterable[ListenerSpec]:
    """Offer to record what happens."""
    return [ListenerSpec("recorder", make_listener, options_type=RecorderOptions)]


@stoker.hookimpl
def stoker_register_metrics() -> Iterable[MetricSpec]:
    """Offer to count by caller."""
    return [MetricSpec("recorder", make_metrics)]


@stoker.hookimpl
def stoker_register_commands() -> Iterable[CommandSpec]:
    """Offer a summary of what was recorded."""
    return [CommandSpec("recorded", "Sum up the requests that were recorded.", make_command)]
