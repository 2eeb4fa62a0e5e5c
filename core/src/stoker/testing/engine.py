"""The contract of engines (`stoker.engine.Engine`), as tests."""

from __future__ import annotations

import json
from collections.abc import Callable

from stoker.engine import Engine
from stoker.events import Finished, Prefill, TextDelta
from stoker.request import Constraint, ConstraintKind, GenerateRequest, TextPrompt
from stoker.testing.engine_cancelling import EngineCancelling
from stoker.testing.engine_masks import EngineMasks
from stoker.testing.engine_sampling import EngineSampling
from stoker.testing.engine_steps import EngineSteps
from stoker.testing.engine_tokens import EngineTokens
from stoker.testing.events import check_events
from stoker.testing.pipeline import answer


class EngineContract(EngineTokens, EngineSteps, EngineCancelling, EngineSampling, EngineMasks):
    """What every `Engine` must do. Override `load`."""

    def test_characters_come_whole(self, load: Callable[[], Engine]) -> None:
        """A character that takes several tokens reaches the client in one piece.

        To mend it: make `token_bytes` and `vocabulary` give raw bytes: the core joins them
        to characters.
        """
        if not self.supports_constraints:
            return
        text = "🙂 Füße 東京"
        constraint = Constraint(ConstraintKind.CHOICE, json.dumps([text]))
        request = GenerateRequest("test", TextPrompt(self.text), constraint=constraint)
        events = answer(load(), request)

        deltas = [event.text for event in events if isinstance(event, TextDelta)]
        assert text == "".join(deltas)
        assert "\ufffd" not in "".join(deltas)

    def test_usage_adds_up(self, load: Callable[[], Engine]) -> None:
        """The usage is what was read and made, and no time is negative.

        To mend it: let `prefilled` reach the prompt's length, and return each token once.
        """
        request = GenerateRequest("test", TextPrompt(self.text), max_tokens=5, ignore_end=True)
        events = answer(load(), request)
        last = events[-1]
        read = [event for event in events if isinstance(event, Prefill)][-1]

        assert isinstance(last, Finished)
        assert (read.total, 5) == (last.usage.prompt_tokens, last.usage.completion_tokens)
        assert read.total == read.done
        assert 0 <= last.usage.cached_tokens <= last.usage.prompt_tokens
        assert last.timings.prefill_s >= 0
        assert last.timings.decode_s >= 0

    def test_the_pipeline_makes_events_of_it(self, load: Callable[[], Engine]) -> None:
        """Behind the core's text pipeline the engine answers in the documented order of events.

        To mend it: mend the tests above first: this one puts them together.
        """
        request = GenerateRequest("test", TextPrompt(self.text), max_tokens=4, n=2, ignore_end=True)
        events = answer(load(), request)

        check_events(events, n=2)
        last = events[-1]
        assert isinstance(last, Finished)
        assert 8 == last.usage.completion_tokens
