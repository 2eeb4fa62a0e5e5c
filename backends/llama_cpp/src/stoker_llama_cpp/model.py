"""The weights: reading them from files, and what they say of themselves."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Sequence
from pathlib import Path

from llama_cpp import llama_cpp as native

from stoker.backend import LoadProgress
from stoker.errors import LoadError
from stoker_llama_cpp.log import LOG, cause
from stoker_llama_cpp.metadata import text, whole_number
from stoker_llama_cpp.options import LlamaCppOptions
from stoker_llama_cpp.vocabulary import Vocabulary

_PROGRESS_INTERVAL_S = 0.1
_MAGIC = b"GGUF"


class Model:
    """A loaded model file; owns llama.cpp's `llama_model`.

    Attributes:
        handle: For the binding's functions.
        vocabulary: The tokenizer.
    """

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.vocabulary = Vocabulary(handle)

    @property
    def trained_context_length(self) -> int:
        """Most tokens of a text that the model was trained for; 0 when the file does not say."""
        return int(native.llama_model_n_ctx_train(self.handle))

    @property
    def chat_template(self) -> str | None:
        """The Jinja source in the file, if there is one."""
        source = native.llama_model_chat_template(self.handle, None)
        return None if source is None else source.decode(errors="replace")

    @property
    def architecture(self) -> str:
        """By which name the file's other keys begin: `llama`, `bert`."""
        return text(self.handle, "general.architecture") or ""

    @property
    def rerank_template(self) -> str | None:
        """How a query and a document are put together, if the file says so."""
        source = native.llama_model_chat_template(self.handle, b"rerank")
        return None if source is None else source.decode(errors="replace")

    @property
    def embedding_length(self) -> int:
        """How many numbers an embedding has."""
        return int(native.llama_model_n_embd_out(self.handle))

    @property
    def label_count(self) -> int:
        """How many numbers the classifier gives."""
        return int(native.llama_model_n_cls_out(self.handle))

    @property
    def scores_are_shares(self) -> bool:
        """Whether the classifier's numbers add up to 1, and are not logits.

        By `build_pooling` in https://github.com/ggml-org/llama.cpp/blob/master/src/llama-graph.cpp.
        """
        return self.architecture in {"qwen3", "qwen3vl"}

    @property
    def generates(self) -> bool:
        """Whether it goes on with a text token by token, as far as its architecture tells."""
        return bool(
            native.llama_model_has_decoder(self.handle)
            and not native.llama_model_has_encoder(self.handle)
            and not native.llama_model_is_diffusion(self.handle)
        )

    @property
    def window(self) -> int:
        """How many tokens back layers with a sliding window see; 0 when there are none."""
        return int(native.llama_model_n_swa(self.handle))

    @property
    def is_recurrent(self) -> bool:
        """Whether layers have one state for a whole sequence, which cannot be cut back."""
        return bool(
            native.llama_model_is_recurrent(self.handle)
            or native.llama_model_is_hybrid(self.handle)
        )

    def close(self) -> None:
        """Free the weights. No context may use them any more."""
        native.llama_model_free(self.handle)


def load_model(paths: Sequence[Path], options: LlamaCppOptions, progress: LoadProgress) -> Model:
    """Read the weights.

    Args:
        paths: The file, or all shards in their order.
        options: How to read them.
        progress: Told some ten times a second; when it raises, the load is given up.

    Raises:
        LoadError: They cannot be read; says why in llama.cpp's words.
        OperationCancelledError: `progress` raised it.
    """
    for path in paths:
        _check_magic(path)
    params = native.llama_model_default_params()
    params.n_gpu_layers = -1 if options.gpu_layers is None else options.gpu_layers
    params.load_mode = native.LLAMA_LOAD_MODE_AUTO if options.mmap else native.LLAMA_LOAD_MODE_NONE
    relay = _ProgressRelay(progress)
    callback = params.progress_callback = native.llama_progress_callback(relay)
    with LOG.recording() as lines:
        if len(paths) == 1:
            handle = native.llama_model_load_from_file(os.fsencode(paths[0]), params)
        else:
            names = (ctypes.c_char_p * len(paths))(*map(os.fsencode, paths))
            handle = native.llama_model_load_from_splits(names, len(paths), params)
    # Until here the library held a bare pointer to it.
    del callback
    if relay.error is not None:
        if handle is not None:
            native.llama_model_free(handle)
        raise relay.error
    if handle is None:
        raise LoadError(f"llama.cpp cannot load {paths[0].name}: {cause(lines)}.")
    try:
        _check_shards(handle, paths)
    except LoadError:
        native.llama_model_free(handle)
        raise
    return Model(handle)


class _ProgressRelay:
    """Passes llama.cpp's progress on, not too often, and keeps what was raised.

    An exception cannot cross a C function, so it is kept and the library is told to stop.
    """

    def __init__(self, progress: LoadProgress) -> None:
        self._progress = progress
        self._next_s = 0.0
        self.error: BaseException | None = None

    def __call__(self, fraction: float, _user_data: object) -> bool:
        now_s = time.monotonic()
        if now_s < self._next_s:
            return True
        self._next_s = now_s + _PROGRESS_INTERVAL_S
        try:
            self._progress("reading weights", min(max(fraction, 0.0), 1.0))
        except BaseException as exc:  # noqa: BLE001 - raised again once C has returned
            self.error = exc
            return False
        return True


def _check_shards(handle: int, paths: Sequence[Path]) -> None:
    """Refuse files that are not all of the model: llama.cpp reads as many as the first one says."""
    count = whole_number(handle, "split.count") or 1
    if len(paths) > 1 and count != len(paths):
        raise LoadError(
            f"The model has {len(paths)} files of weights, but {paths[0].name} says that there are"
            f" {count}: its artifact is put together wrongly."
        )


def _check_magic(path: Path) -> None:
    """Tell a file that is something else by its first bytes; llama.cpp's words for it are poor."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as exc:
        raise LoadError(f"{path.name} cannot be read: {exc.strerror or exc}.") from exc
    if magic != _MAGIC:
        raise LoadError(f"{path.name} is no GGUF file: it begins with {magic!r}, not {_MAGIC!r}.")
