"""The runner's loop: take what arrived, advance the engine by one step, send what came out."""

from __future__ import annotations

import time
import traceback

import msgspec

from stoker.errors import (
    BackendUnavailableError,
    LoadError,
    OperationCancelledError,
    StokerError,
)
from stoker.events import Event, Failed
from stoker.loading import load_session
from stoker.plugins import PluginManager
from stoker.runner.channel import Channel, PeerGoneError
from stoker.runner.pending import Pending
from stoker.text.chat_syntax import ParserChoice
from stoker.text.session import Session
from stoker.wire.bundle import EngineInfoWire
from stoker.wire.errors import ErrorWire
from stoker.wire.frames import (
    Cancel,
    Load,
    LoadFailed,
    LoadProgress,
    Ready,
    Shutdown,
    Step,
    Submit,
)

_LOAD_FRAME_TIMEOUT_S = 30.0
_FINISH_TIMEOUT_S = 5.0
_TEXT_INTERVAL_S = 0.03
"""Text alone is sent no more often. A reader sees no difference, and where the engine computes on
the processor, each frame takes time from it: the supervisor wakes up, and so does the client."""
_HEARTBEAT_S = 1.0
"""A frame is sent at least so often while there is work, so that a hang can be told from a step in
which nothing happened."""

ORPHANED = 3
"""The exit code of a runner whose supervisor is gone."""


def run(channel: Channel) -> int:
    """Load what the first frame says, then serve requests. Returns the exit code."""
    try:
        session = _load(channel)
        if session is None:
            return 1
        try:
            _serve(channel, session)
        finally:
            session.close()
    except PeerGoneError:
        return ORPHANED
    channel.finish(_FINISH_TIMEOUT_S)
    return 0


def _load(channel: Channel) -> Session | None:
    frames = channel.receive(_LOAD_FRAME_TIMEOUT_S)
    if not frames or not isinstance(frames[0], Load):
        return None
    load = frames[0]
    try:
        session = _open(load, channel)
    except StokerError as exc:
        channel.send(LoadFailed(ErrorWire.from_domain(exc)))
        channel.finish(_FINISH_TIMEOUT_S)
        return None
    channel.send(Ready(EngineInfoWire.from_domain(session.info)))
    return session


def _open(load: Load, channel: Channel) -> Session:
    plugins = PluginManager(allow=(load.plugin, *load.parser_plugins))
    spec = plugins.backends.get(load.backend)
    if spec is None:
        problems = [plugin.problem.summary for plugin in plugins.plugins if plugin.problem]
        raise BackendUnavailableError(
            f"The runner could not load backend {load.backend!r} from plugin {load.plugin!r}"
            f" ({'; '.join(problems) or 'it is not installed'})."
        )
    bundle = load.bundle.to_domain()
    options = msgspec.convert(load.options, spec.options_type)
    parsers = ParserChoice(plugins.parsers, load.parser)
    return load_session(spec, bundle, options, _Progress(channel), parsers=parsers)


class _Progress:
    """Tells the supervisor how loading goes, and the backend when to give up."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __call__(self, stage: str, fraction: float | None) -> None:
        self._channel.send(LoadProgress(stage, fraction))
        if any(isinstance(frame, Shutdown) for frame in self._channel.receive(0)):
            raise OperationCancelledError("Nobody waits for this model any more.")


def _serve(channel: Channel, session: Session) -> None:
    pending = Pending()
    sent_s = time.monotonic()
    while True:
        for frame in channel.receive(None if session.idle else 0):
            match frame:
                case Submit():
                    pending.add(_submit(session, frame))
                case Cancel():
                    session.cancel(frame.request_id)
                case Shutdown():
                    return
                case Load():
                    raise LoadError("A runner loads one model only.")
        pending.add(session.step())
        now_s = time.monotonic()
        silent_s = now_s - sent_s
        due = session.idle or silent_s > _TEXT_INTERVAL_S or not pending.can_wait
        if (pending and due) or silent_s > _HEARTBEAT_S:
            channel.send(Step.from_domain(pending.take()))
            sent_s = now_s


def _submit(session: Session, frame: Submit) -> list[tuple[int, Event]]:
    try:
        session.submit(frame.request_id, frame.request.to_domain())
    except StokerError as exc:
        return [(frame.request_id, Failed(exc))]
    except Exception as exc:  # noqa: BLE001 - one request must not take the others with it
        traceback.print_exc()
        error = StokerError(f"The engine could not take the request: {type(exc).__name__}: {exc}")
        return [(frame.request_id, Failed(error))]
    return []
