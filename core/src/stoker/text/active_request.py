"""A request that is being answered: what it has taken so far."""

from __future__ import annotations

from stoker.engine import SequenceOutput
from stoker.events import Finished, Timings, Usage
from stoker.text.choice import Choice
from stoker.text.parsed_choice import ParsedChoice
from stoker.text.prompt_echo import PromptEcho


class ActiveRequest:
    """Adds up what the sequences of one request do.

    Attributes:
        id: The request's.
        n: How many choices each of its prompts has.
        read: How many tokens of each prompt are in memory, by its first choice.
        prompt_tokens: Of all prompts.
        cached_tokens: How many of them were reused.
        submitted_s: When it came.
        first_token_s: When its first token was there; None before.
        echoes: What is told of the prompts, by choice, until it is told.
        running: The sequences that have not ended yet.
        decoding: Whether a choice has begun, after which no prefill is reported any more.
    """

    __slots__ = (
        "_accepted_draft_tokens",
        "_completion_tokens",
        "_draft_tokens",
        "_preemptions",
        "_reasoning_tokens",
        "cached_tokens",
        "decoding",
        "echoes",
        "first_token_s",
        "id",
        "n",
        "prompt_tokens",
        "read",
        "running",
        "submitted_s",
    )

    def __init__(self, request_id: int, n: int, prompt_tokens: int, submitted_s: float) -> None:
        self.id = request_id
        self.n = n
        self.read: dict[int, int] = {}
        self.prompt_tokens = prompt_tokens
        self.cached_tokens = 0
        self.submitted_s = submitted_s
        self.first_token_s: float | None = None
        self.echoes: dict[int, PromptEcho] = {}
        self.running: set[int] = set()
        self.decoding = False
        self._completion_tokens = 0
        self._reasoning_tokens = 0
        self._draft_tokens = 0
        self._accepted_draft_tokens = 0
        self._preemptions = 0

    def note(self, output: SequenceOutput) -> None:
        """Take what a step did for one of its sequences."""
        self._draft_tokens += output.drafted
        self._accepted_draft_tokens += output.accepted
        self._preemptions += output.preemptions

    def count(self, choice: Choice | ParsedChoice) -> None:
        """Take what a choice that has ended came to."""
        self._completion_tokens += choice.completion_tokens
        self._reasoning_tokens += choice.reasoning_tokens

    def finished(self, now_s: float) -> Finished:
        """The last event of the request."""
        usage = Usage(
            self.prompt_tokens,
            self._completion_tokens,
            self.cached_tokens,
            self._reasoning_tokens,
        )
        first_token_s = now_s if self.first_token_s is None else self.first_token_s
        timings = Timings(
            prefill_s=first_token_s - self.submitted_s,
            decode_s=now_s - first_token_s,
            draft_tokens=self._draft_tokens,
            accepted_draft_tokens=self._accepted_draft_tokens,
            preemptions=self._preemptions,
        )
        return Finished(usage, timings)
