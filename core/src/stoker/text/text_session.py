"""The session over an engine that has only text in and text out."""

from __future__ import annotations

import time

from stoker.engine import EngineInfo, Mode, TextEngine
from stoker.errors import InvalidRequestError, StokerError, UnsupportedFeatureError
from stoker.events import Event, Failed, Finished, Prefill, Timings, Usage
from stoker.messages import ToolChoiceMode
from stoker.request import ChatPrompt, GenerateRequest, Request, TextPrompt, TokenRequest
from stoker.text.admission import check_features, check_mode
from stoker.text.session import Session
from stoker.text.stop import StopMatcher
from stoker.text.text_choice import TextChoice

_WAIT_S = 0.02
"""How long a step waits for answers that others write; what arrives waits as long at most."""


class _TextRequest:
    """A request that is being answered."""

    __slots__ = ("first_piece_s", "id", "running", "submitted_s", "usage")

    def __init__(self, request_id: int) -> None:
        self.id = request_id
        self.submitted_s = time.perf_counter()
        self.first_piece_s: float | None = None
        self.usage = Usage(prompt_tokens=0, completion_tokens=0)
        self.running: list[TextChoice] = []

    def finish(self, choice: TextChoice) -> None:
        """Count a choice that has come to its end, and let it go."""
        self.running.remove(choice)
        choice.close()
        # Every choice has read the same prompt.
        self.usage = Usage(
            prompt_tokens=max(self.usage.prompt_tokens, choice.end.prompt_tokens or 0),
            completion_tokens=self.usage.completion_tokens + choice.completion_tokens,
            cached_tokens=max(self.usage.cached_tokens, choice.end.cached_tokens),
            reasoning_tokens=self.usage.reasoning_tokens + choice.reasoning_tokens,
        )

    def finished(self) -> Finished:
        """The last event, when all choices are finished."""
        now_s = time.perf_counter()
        first_s = now_s if self.first_piece_s is None else self.first_piece_s
        times = Timings(prefill_s=first_s - self.submitted_s, decode_s=now_s - first_s)
        return Finished(self.usage, times)

    def close(self) -> None:
        """End what runs."""
        for choice in self.running:
            choice.close()


class TextSession(Session):
    """Answers requests with a `TextEngine`.

    A step takes one piece of every running choice that has one. A piece counts as one token and
    nobody knows how many the prompt has, unless the engine counts. An exception of an iterator
    fails its request only.
    """

    def __init__(self, engine: TextEngine) -> None:
        self._engine = engine
        self._requests: dict[int, _TextRequest] = {}

    @property
    def info(self) -> EngineInfo:
        """What the engine has loaded."""
        return self._engine.info

    @property
    def idle(self) -> bool:
        """Whether a `step` would do nothing."""
        return not self._requests

    def submit(self, request_id: int, request: Request) -> None:
        """Take a request; see `Session.submit`."""
        if request_id in self._requests:
            raise InvalidRequestError(f"The request id {request_id} is in use.")
        if isinstance(request, TokenRequest):
            raise UnsupportedFeatureError(
                f"The engine of {request.model} tells no tokens and has no chat template.",
                param="model",
            )
        if not isinstance(request, GenerateRequest):
            # Whatever the engine says of itself: its contract has no more than text.
            check_mode(request, {Mode.GENERATE})
            return
        self._check(request)
        active = _TextRequest(request_id)
        for index in range(request.n):
            try:
                pieces = self._engine.generate(request, index=index)
            except Exception as exc:
                active.close()
                raise _domain_error(exc) from exc
            matcher = StopMatcher(request.stop) if request.stop else None
            choice = TextChoice(
                index,
                pieces,
                max_tokens=request.max_tokens,
                engine_counts=self._engine.counts_tokens,
                matcher=matcher,
            )
            active.running.append(choice)
        self._requests[request_id] = active

    def _check(self, request: GenerateRequest) -> None:
        """Refuse what an engine of text cannot do."""
        check_features(request, self._engine.info.modalities)
        if isinstance(request.prompt, ChatPrompt):
            self._check_chat(request.prompt)
        if request.constraint is not None:
            raise UnsupportedFeatureError(
                "This model's engine cannot constrain its answers.", param=request.constraint.param
            )
        if isinstance(request.prompt, TextPrompt) and request.prompt.suffix:
            raise UnsupportedFeatureError(
                "This model's engine cannot fill a text in: leave suffix out.", param="suffix"
            )
        if request.more_prompts:
            raise UnsupportedFeatureError(
                "This model's engine takes one prompt in a request.", param="prompt"
            )
        if request.echo:
            raise UnsupportedFeatureError(
                "This model's engine does not echo the prompt.", param="echo"
            )
        if request.sampling.logprobs is not None:
            raise UnsupportedFeatureError(
                "This model's engine gives no log probabilities.", param="logprobs"
            )

    def _check_chat(self, prompt: ChatPrompt) -> None:
        if prompt.continue_final_message:
            raise UnsupportedFeatureError(
                "This model's engine cannot go on with an answer that is begun: end with a message"
                " of the user.",
                param="messages",
            )
        wants = prompt.tools and prompt.tool_choice.mode is not ToolChoiceMode.NONE
        if wants and not self._engine.calls_tools:
            raise UnsupportedFeatureError(
                "This model's engine calls no tools: leave them out, or choose none.", param="tools"
            )

    def cancel(self, request_id: int) -> None:
        """Forget a request; an unknown id is a no-op."""
        active = self._requests.pop(request_id, None)
        if active is not None:
            active.close()

    def step(self) -> list[tuple[int, Event]]:
        """Advance every request; see `Session.step`."""
        events: list[tuple[int, Event]] = []
        advanced = not self._requests
        for active in list(self._requests.values()):
            try:
                advanced |= _advance(active, events)
            except Exception as exc:  # noqa: BLE001 - one engine call failed, not the engine
                advanced = True
                del self._requests[active.id]
                active.close()
                events.append((active.id, Failed(_domain_error(exc))))
                continue
            if not active.running:
                del self._requests[active.id]
                events.append((active.id, active.finished()))
        if not advanced:
            self._engine.wait(_WAIT_S)
        return events

    def close(self) -> None:
        """Drop all requests and close the engine."""
        for active in self._requests.values():
            active.close()
        self._requests.clear()
        self._engine.close()


def _advance(active: _TextRequest, events: list[tuple[int, Event]]) -> bool:
    """Take one piece of every choice that has one; return whether there was any."""
    advanced = False
    for choice in list(active.running):
        if not choice.ready:
            continue
        advanced = True
        said, finished = choice.advance()
        if active.first_piece_s is None:
            # Only now is it known that the engine does not refuse the request.
            active.first_piece_s = time.perf_counter()
            events.append((active.id, Prefill(0, 0)))
        events += ((active.id, event) for event in said)
        if finished:
            active.finish(choice)
    return advanced


def _domain_error(exc: Exception) -> StokerError:
    if isinstance(exc, StokerError):
        return exc
    return StokerError(f"The engine failed: {type(exc).__name__}: {exc}.")
