"""What a model will take in memory, from the headers of its files alone.

`bench/memory_estimate.py` compares it with what is measured; `docs/reference/memory.md` has the
table.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import attrs
import msgspec

from stoker.artifact import ModelBundle
from stoker.backend import Device
from stoker.errors import InvalidArtifactError
from stoker.estimate import HOST, DeviceMemory, DeviceNeed, MemoryEstimate
from stoker.weights import read_gguf_header
from stoker_llama_cpp.context_shape import (
    DEFAULT_TEXT_LENGTH,
    ContextShape,
    padded_cells,
    prefix_ram_bytes,
)
from stoker_llama_cpp.draft_weights import draft_paths
from stoker_llama_cpp.model_shape import LayerShape, ModelShape
from stoker_llama_cpp.options import LlamaCppOptions

_MIB = 1024 * 1024

# Numbers in llama.cpp's blocks take so many bytes: `block_*` in ggml/src/ggml-common.h.
_NUMBER_BYTES = {
    "f32": 4.0,
    "f16": 2.0,
    "q8_0": 34 / 32,
    "q5_1": 24 / 32,
    "q5_0": 22 / 32,
    "q4_1": 20 / 32,
    "q4_0": 18 / 32,
}
_FLOAT_BYTES = 4

# Measured: a runner with numpy and llama.cpp loaded; tables of tokens, of which llama.cpp has one,
# and what prepares masks for constraints the others.
_PROCESS_BYTES = 51 * _MIB
_TOKEN_BYTES = 430
# Measured: intermediate numbers of a token, in widths of the model. While llama.cpp computes the
# feed-forward part it holds its inner numbers three times.
_WIDTHS = 4.8
_INNER_WIDTHS = 3
_WIDTHS_OF_ATTENTION = 9
_WIDTHS_OF_OUTPUT = 3


def estimate(bundle: ModelBundle, options: msgspec.Struct) -> MemoryEstimate:
    """Estimate a model's memory; see `stoker.estimate.EstimateMemory`.

    Raises:
        InvalidInputError: A file is missing.
        InvalidArtifactError: A file is no GGUF file, or there is none.
        BackendUnavailableError: The GPUs cannot be found out.
    """
    if not bundle.weights:
        raise InvalidArtifactError(f"{bundle.reference.familiar} has no weights.")
    settings = msgspec.convert(options, LlamaCppOptions, from_attributes=True)
    shape = ModelShape.from_headers([read_gguf_header(path) for path in bundle.weights])
    pools = shape.pools or settings.pooling is not None
    gpus = () if settings.gpu_layers == 0 else _gpus()
    headers = [read_gguf_header(path) for path in draft_paths(bundle, settings)]
    draft = ModelShape.from_headers(headers) if headers else None

    def needs(context_length: int) -> tuple[DeviceNeed, ...]:
        model = _Needs(shape, settings, gpus)
        if draft is None or pools or model.is_recurrent:
            return model.of(context_length)
        return _together(model.of(context_length), _draft(draft, model).of(context_length))

    return MemoryEstimate(
        needs=needs,
        max_context_length=shape.trained_context_length,
        context_length=settings.context_length,
        preferred_context_length=DEFAULT_TEXT_LENGTH if pools else settings.cache_tokens,
        configure=_with_context_length,
        devices=tuple(DeviceMemory(gpu.name, gpu.memory_bytes) for gpu in gpus),
    )


def _draft(shape: ModelShape, model: _Needs) -> _Needs:
    """The draft model beside a model: with as many cells, and without a cache of prefixes."""
    options = msgspec.structs.replace(model.options, prefix_cache=False, speculation=False)
    return _Needs(shape, options, model.gpus, rewinds=True)


def _together(model: Sequence[DeviceNeed], draft: Sequence[DeviceNeed]) -> tuple[DeviceNeed, ...]:
    """Two models in one process, which has the tokens of both."""
    added = {need.device: attrs.asdict(need) for need in draft}
    both = []
    for need in model:
        other = added.pop(need.device, {}) | {"device": "", "process_bytes": 0}
        sums = {name: size + other.get(name, 0) for name, size in attrs.asdict(need).items()}
        both.append(DeviceNeed(**sums))
    return (*both, *(DeviceNeed(**item) for item in added.values()))


def _with_context_length(options: msgspec.Struct, context_length: int) -> msgspec.Struct:
    return msgspec.structs.replace(options, context_length=context_length)


@functools.cache
def _gpus() -> tuple[Device, ...]:
    """The GPUs with memory of their own.

    A library without any GPU code is told by its files, and the process that looks is saved.
    """
    found = importlib.util.find_spec("llama_cpp")
    places = (found.submodule_search_locations if found else None) or ()
    folders = [Path(place) / "lib" for place in places]
    names = {path.name.split(".")[0] for folder in folders for path in folder.glob("*ggml-*")}
    if names <= {"libggml-base", "libggml-cpu", "ggml-base", "ggml-cpu"}:
        return ()
    from stoker_llama_cpp.devices import ask_devices  # noqa: PLC0415 - only this needs it

    # Metal's memory is the host's.
    return tuple(item for item in ask_devices() if item.kind not in {"cpu", "metal", "blas"})


@attrs.frozen
class _Needs:
    """The needs of one model with one set of options."""

    shape: ModelShape
    options: LlamaCppOptions
    gpus: Sequence[Device]
    rewinds: bool = False

    def of(self, context_length: int) -> tuple[DeviceNeed, ...]:
        shape = self.shape
        homes = self._homes()
        host = self._on(HOST, homes, context_length)
        inputs = shape.input_bytes
        if homes[-1] == HOST:
            inputs += shape.output_bytes
        host = attrs.evolve(
            host,
            mapped_bytes=(host.mapped_bytes + inputs) * self.options.mmap,
            weights_bytes=host.weights_bytes + inputs * (not self.options.mmap),
            process_bytes=_PROCESS_BYTES + shape.vocabulary_size * _TOKEN_BYTES,
            reserve_bytes=self._prefix_bytes(context_length),
        )
        others = []
        for gpu in self.gpus:
            need = self._on(gpu.name, homes, context_length)
            if gpu.name == homes[-1]:
                last = shape.output_bytes + shape.input_bytes * shape.tied
                need = attrs.evolve(need, weights_bytes=need.weights_bytes + last)
            if need.total_bytes:
                others.append(need)
        return (host, *others)

    @property
    def _pools(self) -> bool:
        return self.shape.pools or self.options.pooling is not None

    def _prefix_bytes(self, context_length: int) -> int:
        """Host memory for prefixes that leave the KV cache, wherever that is."""
        if self._pools or not self.options.prefix_cache:
            return 0
        cache_bytes = sum(self._cache(layer, context_length) for layer in self.shape.layers)
        return prefix_ram_bytes(self.options, round(cache_bytes))

    def _on(self, device: str, homes: Sequence[str], context_length: int) -> DeviceNeed:
        """What the layers need that are on a device."""
        layers = [
            layer for layer, home in zip(self.shape.layers, homes, strict=False) if home == device
        ]
        tensors = sum(layer.tensor_bytes for layer in layers)
        copied = sum(layer.copied_bytes for layer in layers)
        on_host = device == HOST
        maps = on_host and self.options.mmap
        # What is arranged anew is read from the mapped file first, and else is there only once.
        weights = copied if maps else tensors
        buffers = self._buffers(context_length) if layers or homes[-1] == device else 0
        if on_host and not self._pools:
            # Logits come back to it, and are kept until the next step.
            buffers += self._context.slots * self.shape.vocabulary_size * _FLOAT_BYTES
        return DeviceNeed(
            device=device,
            mapped_bytes=tensors if maps else 0,
            weights_bytes=weights,
            cache_bytes=round(sum(self._cache(layer, context_length) for layer in layers)),
            buffer_bytes=buffers,
        )

    def _homes(self) -> list[str]:
        """The device of each layer, and of the output as one more.

        llama.cpp puts the last ones on GPUs, in shares of their memory.
        """
        count = len(self.shape.layers) + 1
        wanted = count if self.options.gpu_layers is None else self.options.gpu_layers
        offloaded = min(wanted, count) if self.gpus else 0
        homes = [HOST] * (count - offloaded)
        sizes = [gpu.memory_bytes or 1 for gpu in self.gpus]
        filled = 0
        for index, gpu in enumerate(self.gpus):
            until = round(offloaded * sum(sizes[: index + 1]) / sum(sizes))
            homes += [gpu.name] * (until - filled)
            filled = until
        return homes

    def _cells(self, context_length: int) -> int:
        others = self.options.batch_size if self._pools else self.options.cache_tokens or 0
        return padded_cells(max(others, context_length))

    def _window_cells(self, context_length: int) -> int:
        """The cells of layers with a sliding window (`llama_kv_cache_iswa` in llama.cpp)."""
        cells = self._cells(context_length)
        if self._pools or self._context.keeps_past or self.rewinds:
            return cells
        windows = self.shape.window * self._context.slots
        return min(cells, padded_cells(windows + self.options.ubatch_size))

    def _cache(self, layer: LayerShape, context_length: int) -> float:
        """A layer's cache."""
        key_bytes = layer.key_width * _NUMBER_BYTES[self.options.cache_type_k]
        value_width = layer.value_width
        if self.options.flash_attention == "off":
            # Values are stored transposed then, and as wide as the widest.
            value_width = max(item.value_width for item in self.shape.layers) if value_width else 0
        value_bytes = value_width * _NUMBER_BYTES[self.options.cache_type_v]
        states = layer.state_width * _FLOAT_BYTES * self.options.max_sequences
        cells = self._cells(context_length)
        if layer.has_window:
            cells = self._window_cells(context_length)
        return cells * (key_bytes + value_bytes) + states

    @property
    def is_recurrent(self) -> bool:
        """Whether some layers have one state for a whole sequence."""
        return any(layer.state_width for layer in self.shape.layers)

    @property
    def _context(self) -> ContextShape:
        return ContextShape(self.options, recurrent=self.is_recurrent)

    def _buffers(self, context_length: int) -> int:
        """Room to compute in: the largest of the stages of a step, one after the other."""
        shape, options = self.shape, self.options
        tokens = min(options.ubatch_size, options.batch_size)
        if self._pools:
            tokens = max(options.batch_size, context_length)
        cells = self._cells(context_length)
        masks = cells * tokens
        if shape.window:
            masks += self._window_cells(context_length) * tokens
        inner = shape.inner_width * _INNER_WIDTHS
        feed_forward = tokens * (shape.width * _WIDTHS + inner) * _FLOAT_BYTES
        rows = 0 if self._pools else self._context.kept_rows
        logits = rows * shape.vocabulary_size + tokens * shape.width * _WIDTHS_OF_OUTPUT
        stages = [feed_forward, logits * _FLOAT_BYTES]
        if options.flash_attention == "off":
            mask_bytes = masks * _FLOAT_BYTES
            scores = tokens * (shape.heads * cells + shape.width * _WIDTHS_OF_ATTENTION)
            stages.append(scores * _FLOAT_BYTES + mask_bytes)
        else:
            mask_bytes = masks * 2
        stages[0] += mask_bytes
        return round(max(stages))
