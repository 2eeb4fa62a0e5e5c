"""What a model will take in memory, from the headers of its files and its config alone."""

from __future__ import annotations

import functools

import attrs
import msgspec

from stoker.artifact import ModelBundle
from stoker.backend import Device
from stoker.estimate import HOST, DeviceMemory, DeviceNeed, MemoryEstimate
from stoker.media_types import Role
from stoker.weights import read_safetensors_header
from stoker_mlx import library
from stoker_mlx.footprint import MIB, POOL_BYTES, SCORED_TOKENS, prefix_bytes
from stoker_mlx.model_files import ModelFiles
from stoker_mlx.model_shape import ModelShape
from stoker_mlx.number_types import computes_on_processor, numbers_of
from stoker_mlx.options import MlxOptions

# Measured: a runner with numpy, mlx-lm and what that imports; tables of tokens, of which the
# tokenizer has some and what prepares masks for constraints the others.
_PROCESS_BYTES = 96 * MIB
_TOKEN_BYTES = 680
_LOGIT_BYTES = 4
# mlx-lm's caches grow by so many tokens at a time.
_CACHE_STEP = 256
# Intermediate numbers of a token, in widths of the model, and copies of its inner numbers.
_WIDTHS = 8
_INNER_WIDTHS = 3
# On processors attention computes all scores of a read at once, with a copy or two.
_SCORES = 2
_FREED_SIZES = 2
_ROW_COPIES = 3
"""Of logits: the model's own, 32-bit ones, and those that are sampled from."""


def estimate(bundle: ModelBundle, options: msgspec.Struct) -> MemoryEstimate:
    """Estimate a model's memory; see `stoker.estimate.EstimateMemory`.

    Raises:
        InvalidInputError: A file is missing.
        InvalidArtifactError: A file is not what it should be.
        BackendUnavailableError: The GPUs cannot be found out.
    """
    settings = msgspec.convert(options, MlxOptions, from_attributes=True)
    files = ModelFiles.of(bundle)
    shape = ModelShape.of(files.json("config.json"), name=files.name)
    headers = [read_safetensors_header(path) for path in files.weights]
    # Tensors are read into memory of MLX's own; a file is hardly more than they are.
    read = (*files.weights, *bundle.paths(Role.ADAPTER))
    numbers = numbers_of(headers, settings.numbers, on_processor=computes_on_processor())
    weights_bytes = sum(path.stat().st_size for path in read) + numbers.growth_bytes
    needs = _Needs(shape, settings, weights_bytes, numbers.size_bytes, _gpu())
    return MemoryEstimate(
        needs=needs.of,
        max_context_length=shape.trained_context_length,
        context_length=settings.context_length,
        preferred_context_length=settings.cache_tokens,
        configure=_with_context_length,
        devices=tuple(
            DeviceMemory(gpu.name, gpu.memory_bytes) for gpu in [needs.gpu] if gpu is not None
        ),
    )


def _with_context_length(options: msgspec.Struct, context_length: int) -> msgspec.Struct:
    return msgspec.structs.replace(options, context_length=context_length)


@functools.cache
def _gpu() -> Device | None:
    """The GPU with memory of its own, if MLX was installed for one. Apple's have the host's."""
    if not any(map(library.installed, library.CUDA_LIBRARIES)):
        return None
    from stoker_mlx.devices import ask_devices  # noqa: PLC0415 - only this needs it

    return next((device for device in ask_devices() if device.kind == "cuda"), None)


@attrs.frozen
class _Needs:
    """The needs of one model with one set of options."""

    shape: ModelShape
    options: MlxOptions
    weights_bytes: int
    number_bytes: int
    gpu: Device | None

    def of(self, context_length: int) -> tuple[DeviceNeed, ...]:
        options = self.options
        pools = options.pooling is not None
        tokens = max(options.cache_tokens or context_length, context_length)
        cache_bytes = 0 if pools else self._cache_bytes(tokens)
        process_bytes = _PROCESS_BYTES + self.shape.vocabulary_size * _TOKEN_BYTES
        need = DeviceNeed(
            device=self.gpu.name if self.gpu else HOST,
            weights_bytes=self.weights_bytes,
            cache_bytes=cache_bytes,
            buffer_bytes=self._buffer_bytes(context_length, cache_bytes),
            reserve_bytes=0 if pools else prefix_bytes(options.prefix_cache_bytes, cache_bytes),
        )
        if self.gpu is None:
            return (attrs.evolve(need, process_bytes=process_bytes),)
        return (DeviceNeed(process_bytes=process_bytes), need)

    def _cache_bytes(self, tokens: int) -> int:
        """The caches when they are full: by one long sequence, or by several short ones."""
        rows = self.options.max_sequences
        one_full, one_rest = self.shape.cached_numbers(tokens)
        _, many_rest = self.shape.cached_numbers(max(tokens // rows, 1))
        spare = self.shape.cached_numbers(_CACHE_STEP)[0] * rows
        full_bytes = float(self.number_bytes)
        if self.options.kv_bits:
            # A group of numbers has a scale and a bias besides.
            scales = 2 * self.number_bytes / self.options.kv_group_size
            full_bytes = self.options.kv_bits / 8 + scales
        rest = max(one_rest, rows * many_rest)
        return round((one_full + spare) * full_bytes) + rest * self.number_bytes

    def _buffer_bytes(self, context_length: int, cache_bytes: int) -> int:
        """Room to compute in, and freed memory that is kept."""
        shape, options = self.shape, self.options
        tokens = min(options.read_tokens, context_length)
        inner = tokens * (shape.width * _WIDTHS + shape.inner_width * _INNER_WIDTHS)
        scores = tokens * context_length * shape.heads * _SCORES
        rows = max(options.max_sequences * _ROW_COPIES, SCORED_TOKENS)
        logits = rows * shape.vocabulary_size
        room_bytes = max((inner + scores) * self.number_bytes, logits * _LOGIT_BYTES)
        # What is freed was room to compute in, in several sizes, or a cache that became too small.
        return room_bytes + min(POOL_BYTES, _FREED_SIZES * (room_bytes + cache_bytes))
