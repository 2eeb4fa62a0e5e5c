"""One choice: the state between the tokens of a sequence and the text of an answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from stoker.engine import SampledToken
from stoker.events import TextDelta, TokenLogprob
from stoker.text.detokenizer import Detokenizer
from stoker.text.logprob import token_logprob
from stoker.text.stop import StopMatcher


class Choice:
    """Turns the tokens of one sequence into text deltas.

    Log probabilities travel with the text that they belong to: a token is reported with the delta
    that shows its last character, and a token of which nothing is shown, because it belongs to a
    stop string, is not reported. A token that ends in shown text and goes on into a stop string
    is.

    Attributes:
        index: Which of the request's choices this is.
        completion_tokens: Tokens that were taken so far, those of a stop string included.
        stop: The stop string that ended the choice. No more tokens may be fed then.
    """

    # Without a parser there is neither.
    reasoning_tokens = 0
    called = False

    __slots__ = (
        "_decoded",
        "_detokenizer",
        "_matcher",
        "_shown",
        "_token_bytes",
        "_unreported",
        "completion_tokens",
        "index",
        "stop",
    )

    def __init__(
        self,
        index: int,
        *,
        token_bytes: Callable[[int], bytes],
        stops: Sequence[str] = (),
        logprobs: bool = False,
    ) -> None:
        self.index = index
        self.completion_tokens = 0
        self.stop: str | None = None
        self._token_bytes = token_bytes
        self._detokenizer = Detokenizer()
        self._matcher = StopMatcher(stops) if stops else None
        # Characters so far, decoded and shown. Only counted for log probabilities.
        self._decoded = 0
        self._shown = 0
        # Tokens that were not reported yet, with where their characters start and end.
        self._unreported: deque[tuple[int, int, TokenLogprob]] | None = (
            deque() if logprobs else None
        )

    def take(self, tokens: Sequence[SampledToken]) -> Sequence[TextDelta]:
        """As `feed`, in the form that all kinds of choices share.

        Raises:
            UnsupportedFeatureError: The engine gave no log probabilities.
        """
        delta = self.feed(tokens)
        return () if delta is None else (delta,)

    def end(self) -> Sequence[TextDelta]:
        """As `finish`, in the form that all kinds of choices share."""
        delta = self.finish()
        return () if delta is None else (delta,)

    def feed(self, tokens: Sequence[SampledToken]) -> TextDelta | None:
        """Take the tokens of a step, up to the one that completes a stop string.

        Returns:
            What can be shown, or None when that is nothing. Look at `stop` afterwards.

        Raises:
            UnsupportedFeatureError: The engine gave no log probabilities.
        """
        token_bytes = self._token_bytes
        if self._matcher is None and self._unreported is None:
            self.completion_tokens += len(tokens)
            if len(tokens) == 1:
                data = token_bytes(tokens[0].id)
            else:
                data = b"".join([token_bytes(token.id) for token in tokens])
            text = self._detokenizer.feed(data)
            return TextDelta(text, self.index) if text else None
        pieces = []
        for token in tokens:
            self.completion_tokens += 1
            text = self._detokenizer.feed(token_bytes(token.id))
            if self._unreported is not None:
                self._note(token, text)
            if self._matcher is not None and text:
                text, self.stop = self._matcher.feed(text)
            pieces.append(text)
            if self.stop is not None:
                break
        return self._delta("".join(pieces), last=False)

    def finish(self) -> TextDelta | None:
        """The sequence has ended by itself: return what was held back.

        Look at `stop` afterwards: a match may have been uncertain until now.
        """
        text = self._detokenizer.finish()
        if self._matcher is not None:
            text, self.stop = self._matcher.feed(text)
            if self.stop is None:
                rest, self.stop = self._matcher.finish()
                text += rest
        return self._delta(text, last=self.stop is None)

    def _note(self, token: SampledToken, text: str) -> None:
        """Remember a token until the text that it ends in is shown."""
        # The start is right for the rest of a character too: that is the next one to be decoded.
        start = self._decoded
        self._decoded += len(text)
        end = self._decoded + self._detokenizer.pending
        logprob = token_logprob(token, self._token_bytes)
        # The caller has looked whether they are wanted.
        self._unreported.append((start, end, logprob))  # type: ignore[union-attr]

    def _delta(self, text: str, *, last: bool) -> TextDelta | None:
        """Join a text with the tokens that it completes.

        Args:
            text: What is shown next.
            last: Report all tokens that are left.
        """
        if not self._unreported:
            return TextDelta(text, self.index) if text else None
        self._shown += len(text)
        stopped = self.stop is not None
        logprobs = []
        while self._unreported:
            start, end, logprob = self._unreported[0]
            if not (last or end <= self._shown or (stopped and start < self._shown)):
                break
            self._unreported.popleft()
            logprobs.append(logprob)
        if not text and not logprobs:
            return None
        return TextDelta(text, self.index, tuple(logprobs))
