"""Penalties: logits of tokens that were seen lately, made smaller."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from stoker.sampling import SamplingParams


class Penalties:
    """A sequence's repetition, presence and frequency penalties, and the tokens they look at."""

    def __init__(self, params: SamplingParams, prompt: Iterable[int] = ()) -> None:
        """Begin with a prompt, of which the last tokens of the window count.

        Args:
            params: Complete.
            prompt: May be empty.
        """
        self._repetition = np.float32(params.repetition_penalty or 1)
        self._presence = np.float32(params.presence_penalty or 0)
        self._frequency = np.float32(params.frequency_penalty or 0)
        self._window: deque[int] = deque(prompt, maxlen=params.penalty_window or 0)
        self._counts = Counter(self._window)

    def tokens(self) -> npt.NDArray[np.intp]:
        """The tokens in the window, each once."""
        return np.fromiter(self._counts, dtype=np.intp, count=len(self._counts))

    def applied(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The logits of `tokens()` after the penalties."""
        counts = np.fromiter(self._counts.values(), dtype=np.float32, count=len(self._counts))
        penalised = np.where(logits > 0, logits / self._repetition, logits * self._repetition)
        return penalised - self._presence - self._frequency * counts

    def add(self, token: int) -> None:
        """Note a token that was sampled; the oldest one of a full window is forgotten."""
        if len(self._window) == self._window.maxlen:
            oldest = self._window[0]
            self._counts[oldest] -= 1
            if not self._counts[oldest]:
                del self._counts[oldest]
        self._window.append(token)
        self._counts[token] += 1
