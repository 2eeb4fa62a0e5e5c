"""The queue in front of a runner: its engine gets as many requests as it can use, the rest waits.

What is inside is the engine's: it batches, and starts a sequence as soon as another one ends. It
has a few more than it runs, so it never waits for this process. What is outside stands in a fair
queue, costs nothing, and can still be told its position, or leave.

All of it runs on the event loop. A request that finds a free place awaits nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator

import attrs

from stoker.engine import EngineInfo
from stoker.errors import DeadlineExceededError, OverloadedError
from stoker.request import EmbedRequest, GenerateRequest, Request, RerankRequest
from stoker.supervisor.fair_queue import FairQueue

DEFAULT_PLACES = 64
"""For an engine that does not say how many sequences it runs side by side."""
AHEAD_SHARE = 4
"""One place more for so many sequences, so that the engine has the next one when one ends."""
POSITION_INTERVAL_S = 1.0
_LEAST_RETRY_S, _MOST_RETRY_S = 1.0, 60.0
_WEIGHT_OF_LAST = 0.2


@attrs.define(eq=False)
class Turn:
    """A request's place in the queue, and then in the runner."""

    caller: str
    places: int
    entered_s: float
    granted_s: float | None = None
    """When it may go to the runner; None while it waits."""
    granted: asyncio.Event = attrs.field(factory=asyncio.Event)
    """Set with `granted_s`."""


def places_of(request: Request) -> int:
    """How many places a request takes.

    Texts to embed or to rank share one: they take turns. What needs the tokenizer only takes none.
    """
    match request:
        case GenerateRequest():
            return request.choices
        case EmbedRequest() | RerankRequest():
            return 1
        case _:
            return 0


def cost_of(request: Request) -> int:
    """How much of its caller's share a request takes."""
    match request:
        case GenerateRequest():
            return request.choices
        case EmbedRequest():
            return len(request.input)
        case RerankRequest():
            return len(request.documents)
        case _:
            return 1


class RequestQueue:
    """The requests of one model. Closed until its model is loaded."""

    def __init__(self, name: str, *, max_waiting: int, wait_timeout_s: float) -> None:
        """Make an empty queue.

        Args:
            name: The model's, for errors.
            max_waiting: How many requests may wait.
            wait_timeout_s: How long one may wait.
        """
        self._name = name
        self._max_waiting = max_waiting
        self._wait_timeout_s = wait_timeout_s
        self._waiting: FairQueue[Turn] = FairQueue()
        self._places = 0.0
        self._used = 0
        self._service_s = _LEAST_RETRY_S
        """How long a request is inside, on a moving average."""

    @property
    def running(self) -> int:
        """The places that are taken."""
        return self._used

    @property
    def waiting(self) -> tuple[Turn, ...]:
        """Who waits, in the order of their turns."""
        return self._waiting.order()

    def open(self, info: EngineInfo | None) -> None:
        """The model is loaded: let requests in."""
        limit = info.max_sequences if info else None
        self._places = DEFAULT_PLACES if limit is None else limit + max(1, limit // AHEAD_SHARE)
        self._grant()

    def close(self) -> None:
        """The runner is gone: let everybody in, to hear why."""
        self._places = math.inf
        self._grant()

    def enter(self, caller: str, request: Request) -> Turn:
        """Get a turn, which must be given back by `leave`.

        Raises:
            OverloadedError: Too many wait already.
        """
        now_s = asyncio.get_running_loop().time()
        turn = Turn(caller, places_of(request), now_s)
        if self._places and not turn.places:
            # The engine has nothing to do for it.
            turn.granted_s = now_s
            return turn
        if len(self._waiting) >= self._max_waiting:
            raise OverloadedError(
                f"{len(self._waiting)} requests wait for {self._name} already, which is as many as"
                " may (queue.max_waiting): try again later.",
                retry_after_s=self._retry_after_s(),
            )
        self._waiting.push(caller, turn, cost=cost_of(request), priority=request.priority)
        self._grant()
        return turn

    def leave(self, turn: Turn) -> None:
        """Give a turn back, wherever it stands."""
        if turn.granted_s is None:
            self._waiting.remove(turn.caller, turn)
        else:
            self._used -= turn.places
            service_s = asyncio.get_running_loop().time() - turn.granted_s
            self._service_s += _WEIGHT_OF_LAST * (service_s - self._service_s)
        self._grant()

    async def positions(self, turn: Turn, deadline_s: float) -> AsyncGenerator[int, None]:
        """How many turns are before this one; ends when it is granted.

        The first position comes at once, and others once a second at most: with many short
        requests, telling all who wait of each change would keep this process from its work.

        Args:
            turn: The turn.
            deadline_s: The event loop's time when the request is to be given up.

        Raises:
            OverloadedError: It waited for too long.
            DeadlineExceededError: The deadline has passed.
        """
        told: int | None = None
        loop = asyncio.get_running_loop()
        full_s = loop.time() + self._wait_timeout_s
        while turn.granted_s is None:
            position = self._waiting.order().index(turn)
            if position != told:
                told = position
                yield position
            if loop.time() >= min(full_s, deadline_s):
                raise self._too_late(deadline_s <= full_s)
            look_s = min(loop.time() + POSITION_INTERVAL_S, full_s, deadline_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(look_s):
                    await turn.granted.wait()

    def _too_late(self, by_deadline: bool) -> OverloadedError | DeadlineExceededError:
        if by_deadline:
            return DeadlineExceededError(
                f"The request's deadline passed while it waited for its turn at {self._name}."
            )
        return OverloadedError(
            f"The request waited {self._wait_timeout_s:g} s for its turn at {self._name}"
            " (queue.wait_timeout_s): try again later.",
            retry_after_s=self._retry_after_s(),
        )

    def _retry_after_s(self) -> float:
        """When the queue, as long as it is now, will be about empty."""
        rounds = len(self._waiting) / max(self._places, 1)
        return min(max(rounds * self._service_s, _LEAST_RETRY_S), _MOST_RETRY_S)

    def _grant(self) -> None:
        now_s = asyncio.get_running_loop().time()
        # A request with more choices than there are places goes when one is free.
        while len(self._waiting) and self._used < self._places:
            turn = self._waiting.pop()
            self._used += turn.places
            turn.granted_s = now_s
            turn.granted.set()
