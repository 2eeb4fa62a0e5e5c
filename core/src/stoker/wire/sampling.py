"""Sampling parameters on the wire, and in settings."""

from __future__ import annotations

import attrs
import msgspec

from stoker.sampling import SamplingParams


class SamplingFields(msgspec.Struct, frozen=True, omit_defaults=True):
    """Those that mean the same for every model. None is unset."""

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    penalty_window: int | None = None
    seed: int | None = None

    def sampling(self) -> SamplingParams:
        """The parameters that have these names.

        Raises:
            InvalidRequestError: A value is out of its range.
        """
        known = {field.name for field in attrs.fields(SamplingParams)}
        names = known.intersection(self.__struct_fields__)
        return SamplingParams(**{name: getattr(self, name) for name in names})


class SamplingWire(SamplingFields, frozen=True, omit_defaults=True):
    """See `stoker.sampling.SamplingParams`."""

    logit_bias: dict[int, float] | None = None
    logprobs: int | None = None

    @classmethod
    def from_domain(cls, params: SamplingParams) -> SamplingWire:
        """Convert for sending."""
        return cls(**{name: getattr(params, name) for name in cls.__struct_fields__})
