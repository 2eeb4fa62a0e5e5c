"""Sessions: requests in, events out, over one engine.

A session is what a runner's loop drives, and what in-process use drives the same way::

    session = open_session(engine, bundle)
    session.submit(1, request)
    while not session.idle:
        for request_id, event in session.step():
            ...
"""

from __future__ import annotations

import abc

from stoker.artifact import ModelBundle
from stoker.engine import Engine, EngineInfo, TextEngine
from stoker.events import Event
from stoker.request import Request
from stoker.text.chat_syntax import ParserChoice


class Session(abc.ABC):
    """Requests in, events out, over one engine. Called from the engine's thread only."""

    @property
    @abc.abstractmethod
    def info(self) -> EngineInfo:
        """What the engine has loaded."""

    @abc.abstractmethod
    def submit(self, request_id: int, request: Request) -> None:
        """Take a request; later steps answer it. Returns at once.

        What takes time to find out is found out meanwhile, without holding the other requests up:
        a request whose constraint cannot be honoured has `Failed` as its first and only event.

        Args:
            request_id: Chosen by the caller; unique among the requests that are not answered yet.
            request: What to generate, to embed or to rank.

        Raises:
            StokerError: The request cannot be answered, most often an `InvalidRequestError`,
                `UnsupportedFeatureError` or `ContextLengthExceededError`. Nothing was queued and
                no event follows.
        """

    @abc.abstractmethod
    def cancel(self, request_id: int) -> None:
        """Forget a request: no event follows. An unknown id is a no-op."""

    @abc.abstractmethod
    def step(self) -> list[tuple[int, Event]]:
        """Advance every request by one step; return at once when there is nothing to do.

        Returns:
            The events of all requests in this step, in order, each with its request's id. What
            one step gave one choice is one delta.

        Raises:
            Exception: The engine is broken; no request will be answered any more.
        """

    @property
    @abc.abstractmethod
    def idle(self) -> bool:
        """Whether a `step` would do nothing."""

    @abc.abstractmethod
    def close(self) -> None:
        """Drop all requests and close the engine. Called once; nothing follows."""


def open_session(
    engine: Engine | TextEngine, bundle: ModelBundle, parsers: ParserChoice | None = None
) -> Session:
    """Open the session that fits the engine.

    Args:
        engine: A loaded engine; the session owns it from now on.
        bundle: The model's files, for a chat template beside the weights.
        parsers: What reads the answers of chats; unset takes what is shipped.

    Raises:
        InvalidArtifactError: The bundle's chat template cannot be read.
    """
    # Both modules build on the class above.
    from stoker.text.text_session import TextSession  # noqa: PLC0415
    from stoker.text.token_session import TokenSession  # noqa: PLC0415

    if isinstance(engine, TextEngine):
        return TextSession(engine)
    return TokenSession.open(engine, bundle, parsers)
