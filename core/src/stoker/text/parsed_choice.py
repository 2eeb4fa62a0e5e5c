"""One choice whose text a parser splits into answer, reasoning and tool calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

from stoker.engine import SampledToken
from stoker.events import TextDelta, TokenLogprob, ToolCallDelta
from stoker.parser import Delta, OutputParser
from stoker.text.detokenizer import Detokenizer
from stoker.text.logprob import token_logprob
from stoker.text.stop import StopMatcher


class ParsedChoice:
    """Turns the tokens of one sequence into deltas of answer, reasoning and tool calls.

    Stop strings are looked for in the answer only: neither what the model thinks nor the arguments
    of a call end it. Log probabilities are those of the answer's tokens. A token is one of
    reasoning when thinking was under way before it or after it, so the marks around count, too.

    Attributes:
        index: Which of the request's choices this is.
        completion_tokens: Tokens that were taken so far, of all kinds.
        reasoning_tokens: How many of them were reasoning.
        stop: The stop string that ended the choice. No more tokens may be fed then.
        called: Whether a tool was called.
    """

    def __init__(
        self,
        index: int,
        parser: OutputParser,
        *,
        token_bytes: Callable[[int], bytes],
        visible: Mapping[int, bytes],
        stops: Sequence[str] = (),
        logprobs: bool = False,
    ) -> None:
        """Begin.

        Args:
            index: Which of the request's choices this is.
            parser: Reads the text.
            token_bytes: Gives the bytes of tokens.
            visible: The texts of control tokens that the parser sees.
            stops: Texts that end the answer.
            logprobs: Whether to report log probabilities.
        """
        self.index = index
        self.completion_tokens = 0
        self.reasoning_tokens = 0
        self.stop: str | None = None
        self.called = False
        self._parser = parser
        self._token_bytes = token_bytes
        self._visible = visible
        self._detokenizer = Detokenizer()
        self._matcher = StopMatcher(stops) if stops else None
        self._unreported: list[TokenLogprob] | None = [] if logprobs else None

    def take(self, tokens: Sequence[SampledToken]) -> Sequence[Delta]:
        """Take the tokens of a step, up to the one that completes a stop string.

        Raises:
            UnsupportedFeatureError: The engine gave no log probabilities.
        """
        deltas: list[Delta] = []
        for token in tokens:
            self.completion_tokens += 1
            before = self._parser.reasoning
            data = self._visible.get(token.id) or self._token_bytes(token.id)
            text = self._detokenizer.feed(data)
            made = self._parser.feed(text) if text else ()
            thinks = before or self._parser.reasoning
            self.reasoning_tokens += thinks
            if self._unreported is not None and not thinks:
                self._unreported.append(token_logprob(token, self._token_bytes))
            self._show(made, deltas)
            if self.stop is not None:
                break
        return deltas

    def end(self) -> Sequence[Delta]:
        """The sequence has ended by itself: return what was held back. Look at `stop` then."""
        deltas: list[Delta] = []
        rest = self._detokenizer.finish()
        made = [*(self._parser.feed(rest) if rest else ()), *self._parser.finish()]
        self._show(made, deltas)
        if self._matcher is not None and self.stop is None:
            text, self.stop = self._matcher.finish()
            self._put(deltas, TextDelta(text, self.index))
        return deltas

    def _show(self, made: Sequence[Delta], deltas: list[Delta]) -> None:
        for delta in made:
            shown = delta
            if isinstance(delta, TextDelta):
                text = delta.text
                if self._matcher is not None:
                    text, self.stop = self._matcher.feed(text)
                shown = TextDelta(text)
            elif isinstance(delta, ToolCallDelta):
                self.called = True
            if self._unreported is not None and not isinstance(delta, TextDelta):
                self._unreported.clear()
            self._put(deltas, attrs.evolve(shown, index=self.index))
            if self.stop is not None:
                return

    def _put(self, deltas: list[Delta], delta: Delta) -> None:
        """Add a delta, joined to the one before where both are of one kind."""
        if isinstance(delta, TextDelta):
            if self._unreported and delta.text:
                delta = attrs.evolve(delta, logprobs=tuple(self._unreported))
                self._unreported.clear()
            if not delta.text:
                return
        last = deltas[-1] if deltas else None
        if isinstance(delta, ToolCallDelta):
            if isinstance(last, ToolCallDelta) and last.call_index == delta.call_index:
                deltas[-1] = attrs.evolve(last, arguments=last.arguments + delta.arguments)
                return
        elif isinstance(last, type(delta)) and not isinstance(last, ToolCallDelta):
            joined = attrs.evolve(last, text=last.text + delta.text)
            if isinstance(joined, TextDelta) and isinstance(delta, TextDelta):
                joined = attrs.evolve(joined, logprobs=joined.logprobs + delta.logprobs)
            deltas[-1] = joined
            return
        deltas.append(delta)
