"""The table `options` of requests; what becomes of each option stands in `option_fields`.

https://github.com/ollama/ollama/blob/v0.12.6/docs/modelfile.md#valid-parameters-and-values
"""

from __future__ import annotations

import msgspec

from stoker.errors import InvalidRequestError
from stoker.sampling import SamplingParams
from stoker_litestar.dialects.json_body import field_error

_ENDLESS = (-1, -2)
"""As `num_predict`: until the model ends, and until the context does. Both come to the same."""
_WHOLE_CONTEXT = 2**31 - 1
_OUR_NAMES = {"repetition_penalty": "repeat_penalty", "penalty_window": "repeat_last_n"}


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that may stand there."""

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    tfs_z: float | None = None
    repeat_last_n: int | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    penalize_newline: bool | None = None
    mirostat: int | None = None
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None
    seed: int | None = None
    num_predict: int | None = None
    stop: list[str] | str | None = None

    num_ctx: int | None = None
    num_keep: int | None = None
    num_batch: int | None = None
    num_gpu: int | None = None
    main_gpu: int | None = None
    num_thread: int | None = None
    draft_num_predict: int | None = None
    use_mmap: bool | None = None
    use_mlock: bool | None = None
    numa: bool | None = None
    low_vram: bool | None = None
    f16_kv: bool | None = None
    logits_all: bool | None = None
    vocab_only: bool | None = None
    embedding_only: bool | None = None

    def sampling(self, *, logprobs: int | None) -> SamplingParams:
        """The sampling parameters.

        Raises:
            InvalidRequestError: A value is out of range; the error names the option.
        """
        window = self.repeat_last_n
        try:
            return SamplingParams(
                temperature=self.temperature,
                top_k=None if self.top_k is None else max(self.top_k, 0),
                top_p=self.top_p,
                min_p=self.min_p,
                repetition_penalty=self.repeat_penalty,
                presence_penalty=self.presence_penalty,
                frequency_penalty=self.frequency_penalty,
                penalty_window=_WHOLE_CONTEXT if window == -1 else window,
                # Of negative numbers Ollama means that any seed will do.
                seed=self.seed if self.seed is None or self.seed >= 0 else None,
                logprobs=logprobs,
            )
        except InvalidRequestError as exc:
            ours = exc.param or ""
            name = _OUR_NAMES.get(ours, ours)
            problem = exc.message.removeprefix(ours).strip().rstrip(".")
            raise field_error(f"options.{name}", problem) from exc

    def max_tokens(self) -> int | None:
        """The most tokens of an answer; None without a limit.

        Raises:
            InvalidRequestError: It is no number of tokens.
        """
        if self.num_predict is None or self.num_predict in _ENDLESS:
            return None
        if self.num_predict < 1:
            raise field_error(
                "options.num_predict", f"must be 1 or more, -1 or -2, not {self.num_predict}"
            )
        return self.num_predict

    def stop_strings(self) -> tuple[str, ...]:
        """The stop strings; none when unset."""
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)


NO_OPTIONS = Options()
