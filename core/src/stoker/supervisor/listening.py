"""The listeners and the sources of metrics of all plugins, while a server runs."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator

from stoker.application import Application
from stoker.listener import ListenerContext
from stoker.supervisor.listener_thread import ListenerThread
from stoker.supervisor.metric_sources import MetricSources
from stoker.telemetry import Telemetry


@contextlib.asynccontextmanager
async def listeners(
    application: Application, telemetry: Telemetry
) -> AsyncGenerator[MetricSources, None]:
    """Let them hear of what happens while the block runs; it gets what asks for the metrics.

    Raises:
        ConfigError: An option of a listener is unknown or has a wrong value.
    """
    plugins = application.plugins
    makers = {}
    for _, spec in sorted(plugins.listeners.items()):
        options = application.settings.options("listeners", spec.name, spec.options_type)
        context = ListenerContext(application.settings.home / "listeners" / spec.name, options)
        makers[spec.name] = functools.partial(spec.factory, context)
    heard = [ListenerThread(name, make) for name, make in makers.items()]
    measured = [
        ListenerThread(spec.name, spec.factory) for _, spec in sorted(plugins.metrics.items())
    ]
    threads = [*heard, *measured]
    ends = [telemetry.listen(thread.take) for thread in threads]
    try:
        yield MetricSources(heard, measured)
    finally:
        for end in ends:
            end()
        await asyncio.gather(*(asyncio.to_thread(thread.end) for thread in threads))
