"""The supervisor itself: residency and host together, for as long as a `with` block lasts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Sequence

import attrs

from stoker.application import Application, LoadPlan
from stoker.backend import availability_of
from stoker.errors import ConfigError, StokerError, UnavailableError
from stoker.host import Host
from stoker.keys import KeyRing
from stoker.memory.size import parse_size
from stoker.sqlite_archive import SqliteArchive
from stoker.supervisor.engine_log import EngineLogs
from stoker.supervisor.intake import StoreIntake
from stoker.supervisor.listening import listeners
from stoker.supervisor.manager import Manager
from stoker.supervisor.model_uses import ModelUses
from stoker.supervisor.reloading import Reloader
from stoker.supervisor.request_log import log_record
from stoker.supervisor.residency import Residency
from stoker.supervisor.runner import ReportLoading, Runner
from stoker.supervisor.services import ResidentInference, ResidentStatus, StoreCatalog
from stoker.supervisor.transfers import Transfers
from stoker.telemetry import Telemetry
from stoker.transport import Started, Transport, TransportContext, TransportSpec
from stoker.version import __version__

_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def supervise(
    application: Application, reloader: Reloader | None = None
) -> AsyncGenerator[Host, None]:
    """Run a supervisor; on leaving, every runner is ended.

    Models that are to be loaded from the start are loaded beside the block.

    Args:
        application: Its settings may be replaced while it runs.
        reloader: Who does that, and wants to tell the loaded models.
    """
    config = application.settings.config

    uses = ModelUses(application.stores)
    logs = EngineLogs()

    async def start(plan: LoadPlan, report: ReportLoading) -> Runner:
        async with uses.begin(plan.artifact) as use:
            defaults = application.settings.config.defaults
            runner = await Runner.start(
                plan,
                timeout_s=defaults.load_timeout_s,
                report=report,
                step_timeout_s=defaults.step_timeout_s,
                log=logs.ring(plan.artifact.digest).add,
            )
            use.last_until(runner.ended)
        return runner

    telemetry = Telemetry()
    telemetry.listen(log_record)
    residency = Residency(
        start,
        wait_timeout_s=config.memory.wait_timeout_s,
        queue=config.queue,
        telemetry=telemetry,
    )
    transfers = Transfers()
    archive = _archive(application)
    if reloader is not None:
        reloader.residency = residency
    async with listeners(application, telemetry) as metrics:
        preloading = asyncio.create_task(_preload(application, residency))
        try:
            catalog = StoreCatalog(application, residency)
            yield Host(
                version=__version__,
                catalog=catalog,
                inference=ResidentInference(application, residency, telemetry),
                status=ResidentStatus(application, residency, logs),
                management=Manager(application, residency, catalog, transfers),
                telemetry=telemetry,
                metrics=metrics,
                intake=StoreIntake(application),
                archive=archive,
            )
        finally:
            await transfers.close()
            preloading.cancel()
            await asyncio.wait([preloading])
            await residency.close()
            await uses.close()
            if archive is not None:
                await archive.close()


def _archive(application: Application) -> SqliteArchive | None:
    """The archive that the config wants; None when it wants none."""
    config = application.settings.config.archive
    if not config.enabled:
        return None
    return SqliteArchive(
        application.settings.home / "state" / "answers.sqlite",
        max_bytes=parse_size(config.max_size),
        max_age_s=config.max_age_s,
    )


async def _preload(application: Application, residency: Residency) -> None:
    """Load what the config wants from the start, the most important first.

    What cannot be loaded is logged: the others, and the server, are not kept from working.
    """
    models = application.settings.config.models.items()
    wanted = [(-model.priority, name) for name, model in models if model.preload]
    for _, name in sorted(wanted):
        try:
            artifact = await asyncio.to_thread(application.resolve, name)
            plan = await asyncio.to_thread(application.plan, artifact)
            async for _ in residency.preload(plan):
                pass
        except StokerError as exc:
            _log.error("%s cannot be loaded from the start: %s", name, exc)


def make_transports(application: Application, keys: KeyRing) -> list[Transport]:
    """Make the transports that the config wants, the main one first.

    Args:
        application: The application.
        keys: Who may use them.

    Raises:
        ConfigError: The config names one that is not installed, or an option is wrong.
        UnavailableError: None is installed, or a wanted one cannot run here.
    """
    context_dialects = [
        attrs.evolve(spec.factory(), name=name)
        for name, spec in sorted(application.plugins.dialects.items())
    ]
    transports = []
    for spec in wanted_transports(application):
        availability = availability_of(spec)
        if not availability.available:
            raise UnavailableError(
                f"Transport {spec.name!r} cannot run here: {availability.reason}"
            )
        options = application.settings.options("transports", spec.name, spec.options_type)
        transports.append(
            spec.factory(TransportContext(options=options, dialects=context_dialects, keys=keys))
        )
    return transports


def wanted_transports(application: Application) -> list[TransportSpec]:
    """The records of the transports that the config wants, the main one first.

    Raises:
        ConfigError: The config names one that is not installed.
        UnavailableError: None is installed.
    """
    installed = application.plugins.transports
    if not installed:
        raise UnavailableError(
            "No transport is installed, so nothing can be served: pip install stoker[all]"
        )
    names = application.settings.config.serve.transports
    unknown = [name for name in names or () if name not in installed]
    if unknown:
        raise ConfigError(
            source="configuration",
            key="serve.transports",
            problem=f"no transport {unknown[0]!r} is installed; there are: {', '.join(installed)}",
        )
    if names is not None:
        wanted = [installed[name] for name in names]
    else:
        wanted = [spec for spec in installed.values() if spec.by_default]
    if not wanted:
        raise UnavailableError(
            "None of the installed transports starts by itself: name one with --transport"
            f" ({', '.join(installed)}), or pip install stoker[all]."
        )
    return sorted(wanted, key=lambda spec: (-spec.priority, spec.name))


async def serve_transports(transports: Sequence[Transport], host: Host, started: Started) -> None:
    """Run transports side by side until cancelled, or until one fails, which ends all.

    Raises:
        StokerError: What the first one that failed raised.
    """
    tasks = [asyncio.create_task(transport.serve(host, started)) for transport in transports]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
