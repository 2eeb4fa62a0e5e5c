"""The request fields that chat completions and text completions share."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from stoker.errors import UnsupportedFeatureError
from stoker.request import Constraint, ConstraintKind
from stoker.sampling import SamplingParams
from stoker_litestar.dialects.json_body import field_error

# Engines count them with 32 bits.
TokenId = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Stop = str | list[str]


def encode_text(value: object) -> str:
    """A value as JSON text; objects keep the order of their keys."""
    return msgspec.json.encode(value).decode()


class StreamOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`stream_options`."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class StructuredOutputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`structured_outputs`, vLLM's extension: exactly one of the fields.

    https://docs.vllm.ai/en/latest/features/structured_outputs.html
    """

    json: dict[str, Any] | str | None = None
    json_object: bool | None = None
    regex: str | None = None
    choice: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None
    grammar: str | None = None
    """GBNF or Lark; see `ConstraintKind.of_grammar`."""

    def constraint(self) -> Constraint:
        """The constraint that the one field stands for.

        Raises:
            InvalidRequestError: There is none, or more than one.
        """
        found: list[Constraint] = []

        def add(field: str, kind: ConstraintKind, source: str = "") -> None:
            found.append(Constraint(kind, source, param=f"structured_outputs.{field}"))

        if self.json is not None:
            source = self.json if isinstance(self.json, str) else encode_text(self.json)
            add("json", ConstraintKind.JSON_SCHEMA, source)
        if self.json_object:
            add("json_object", ConstraintKind.JSON_OBJECT)
        if self.regex is not None:
            add("regex", ConstraintKind.REGEX, self.regex)
        if self.choice is not None:
            add("choice", ConstraintKind.CHOICE, encode_text(self.choice))
        if self.grammar is not None:
            add("grammar", ConstraintKind.of_grammar(self.grammar), self.grammar)
        if len(found) != 1:
            raise field_error("structured_outputs", "set exactly one of its fields")
        return found[0]


class GenerationFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What both routes take, with the same meaning."""

    model: str
    frequency_penalty: float | None = None
    logit_bias: dict[TokenId, float] | None = None
    n: int | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: Stop | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    user: str | None = None

    # Extensions, by the names of vLLM and (repeat_last_n, grammar) llama-server.
    grammar: str | None = None
    ignore_eos: bool | None = None
    min_p: float | None = None
    repeat_last_n: Count | None = None
    repetition_penalty: float | None = None
    structured_outputs: StructuredOutputs | None = None
    top_k: int | None = None

    def sampling(self, *, logprobs: int | None) -> SamplingParams:
        """The sampling parameters.

        Raises:
            InvalidRequestError: A value is out of range.
        """
        return SamplingParams(
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            penalty_window=self.repeat_last_n,
            seed=self.seed,
            logit_bias=self.logit_bias,
            logprobs=logprobs,
        )

    def stop_strings(self) -> tuple[str, ...]:
        """The stop strings; none when unset."""
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    def include_usage(self) -> bool:
        """Whether a stream ends with a chunk of usage.

        Raises:
            InvalidRequestError: There are stream options without a stream.
            UnsupportedFeatureError: Obfuscation is asked for.
        """
        if self.stream_options is None:
            return False
        if not self.stream:
            raise field_error("stream_options", "it is only for streams: set stream to true")
        if self.stream_options.include_obfuscation:
            path = "stream_options.include_obfuscation"
            raise UnsupportedFeatureError(
                f"{path}: answers are not padded against traffic analysis.", param=path
            )
        return bool(self.stream_options.include_usage)

    def constraint(self) -> Constraint | None:
        """What the extensions `grammar` and `structured_outputs` prescribe; None when unset.

        Raises:
            InvalidRequestError: Both are set.
        """
        if self.structured_outputs is None:
            if self.grammar is None:
                return None
            kind = ConstraintKind.of_grammar(self.grammar)
            return Constraint(kind, self.grammar, param="grammar")
        if self.grammar is not None:
            raise field_error("grammar", "it clashes with structured_outputs: set one of them")
        return self.structured_outputs.constraint()
