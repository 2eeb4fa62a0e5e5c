"""Prompts that are wanted back, with what the model thinks of each of their tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stoker.engine import EngineInfo, SampledToken
from stoker.errors import UnsupportedFeatureError
from stoker.events import Echo, TokenLogprob
from stoker.request import GenerateRequest, TextPrompt
from stoker.text.logprob import token_logprob


class PromptEcho:
    """The prompt of one choice, until it is told.

    Attributes:
        alone: Whether no answer is wanted.
    """

    def __init__(
        self,
        request: GenerateRequest,
        index: int,
        prompt: Sequence[int],
        info: EngineInfo,
        token_bytes: Callable[[int], bytes],
    ) -> None:
        """Begin.

        Raises:
            UnsupportedFeatureError: Log probabilities are wanted that the engine cannot tell.
        """
        scores = request.sampling.logprobs is not None
        if scores and not info.prompt_logprobs:
            raise UnsupportedFeatureError(
                "This model's engine gives no log probabilities of prompts: leave out echo or"
                " logprobs.",
                param="echo",
            )
        self._index = index
        self.alone = request.max_tokens == 0
        self._token_bytes = token_bytes
        first = TokenLogprob(prompt[0], token_bytes(prompt[0]), 0.0)
        self._logprobs: list[TokenLogprob] | None = [first] if scores else None
        asked = (request.prompt, *request.more_prompts)[index // request.n]
        if isinstance(asked, TextPrompt):
            self._text = asked.text
        else:
            self._text = b"".join(map(token_bytes, prompt)).decode("utf-8", "replace")

    def take(self, tokens: Sequence[SampledToken]) -> None:
        """Take the prompt's next tokens."""
        if self._logprobs is not None:
            self._logprobs += [token_logprob(token, self._token_bytes) for token in tokens]

    def event(self) -> Echo:
        """All of it."""
        return Echo(self._text, tuple(self._logprobs or ()), self._index)
