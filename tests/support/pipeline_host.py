"""A host whose answers come from an engine in this process, through the whole text pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from stoker.artifact import ModelBundle
from stoker.caller import RequestContext
from stoker.config.limits import LimitsConfig
from stoker.digest import Digest
from stoker.engine import Engine, TextEngine
from stoker.errors import StokerError
from stoker.events import Event, Failed, Finished
from stoker.limits import check_limits
from stoker.reference import Reference
from stoker.request import Request
from stoker.text.session import open_session
from stoker.wire.frames import FrameReader, FromRunner, Step, Submit, ToRunner, encode_frame
from stoker.wire.request import request_to_wire

_NO_FILES = ModelBundle(Reference.parse("test"), Digest.of(b""), files=())


class PipelineInference:
    """`stoker.host.Inference` over engines that a function makes, one for each request.

    Requests and events cross the frames as they would between processes.

    Attributes:
        requests: What was asked.
    """

    def __init__(self, load: Callable[[], Engine | TextEngine]) -> None:
        self._load = load
        self.requests: list[Request] = []

    async def answer(
        self, request: Request, context: RequestContext
    ) -> AsyncGenerator[Event, None]:
        """Answer a request."""
        del context
        self.requests.append(request)
        session = open_session(self._load(), _NO_FILES)
        try:
            check_limits(request, LimitsConfig())
            (frame,) = FrameReader[ToRunner](ToRunner).feed(
                encode_frame(Submit(1, request_to_wire(request)))
            )
            assert isinstance(frame, Submit)
            session.submit(1, frame.request.to_domain())
            while True:
                (step,) = FrameReader[FromRunner](FromRunner).feed(
                    encode_frame(Step.from_domain(session.step()))
                )
                assert isinstance(step, Step)
                for _, event in step.to_domain():
                    yield event
                    if isinstance(event, Finished | Failed):
                        return
                await asyncio.sleep(0)
        except StokerError as exc:
            yield Failed(exc)
        finally:
            session.close()
