"""The seam to llama-cpp-python: which versions are let in, and loading its library.

Nothing here imports the library but `load`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
import os

from stoker.backend import Availability
from stoker.errors import BackendUnavailableError

BACKEND = "llama.cpp"
DISTRIBUTION = "llama-cpp-python"

# How often a thread of GNU OpenMP looks before it sleeps; it reads this when it is loaded. The
# default waits for about a millisecond, hundreds of times per token, and keeps the processor from
# the very thread that is waited for as soon as anything else runs: answers then took ten times as
# long. With this, which is libgomp's own choice when there are more threads than processors, an
# idle machine is as fast as before. See
# https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html.
_OPENMP_SPINS = "1000"


@functools.cache
def tested_versions() -> str:
    """The range of versions that this backend was tested with, as its own metadata says.

    Raises:
        BackendUnavailableError: The metadata is not there, or says nothing.
    """
    from packaging.requirements import Requirement  # noqa: PLC0415 - no command waits for it

    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for line in importlib.metadata.requires("stoker-llama-cpp") or ():
            requirement = Requirement(line)
            if requirement.name == DISTRIBUTION:
                return str(requirement.specifier)
    raise BackendUnavailableError(
        "stoker-llama-cpp is not installed properly: pip install 'stoker[llama-cpp]'."
    )


def availability() -> Availability:
    """Whether a tested version is installed, with a sentence that says what to do if not."""
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - no command waits for it

    try:
        tested = SpecifierSet(tested_versions())
    except BackendUnavailableError as exc:
        return Availability(available=False, reason=exc.message)
    try:
        version = importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return Availability(
            available=False,
            reason=f"{DISTRIBUTION} is not installed: pip install 'stoker[llama-cpp]'.",
        )
    if not tested.contains(version, prereleases=True):
        return Availability(
            available=False,
            reason=(
                f"{DISTRIBUTION} {version} is not among the tested versions:"
                f" pip install '{DISTRIBUTION}{tested}'."
            ),
        )
    return Availability(available=True, reason=f"{DISTRIBUTION} {version}")


def load() -> None:
    """Load the library, once its version was checked.

    Sets `GOMP_SPINCOUNT` for this process, unless it is set.

    Raises:
        BackendUnavailableError: It is missing, of an untested version, or does not load.
    """
    found = availability()
    if not found.available:
        raise BackendUnavailableError(found.reason)
    os.environ.setdefault("GOMP_SPINCOUNT", _OPENMP_SPINS)
    try:
        # Every function of the binding is looked up here, so a library that lacks one fails now.
        native = importlib.import_module("llama_cpp.llama_cpp")
    except (ImportError, OSError, AttributeError, RuntimeError) as exc:
        raise BackendUnavailableError(
            f"{found.reason} is installed, but its library does not load: {exc}."
        ) from exc
    defaults = native.llama_context_default_params()
    # Known values from both ends of the largest structure tell whether binding and library agree:
    # LLAMA_CPP_LIB_PATH can name a library that another llama.cpp was built from.
    layout = (defaults.n_ctx, defaults.n_batch, defaults.type_k, defaults.type_v, defaults.swa_full)
    if layout != (512, 2048, native.GGML_TYPE_F16, native.GGML_TYPE_F16, True):
        raise BackendUnavailableError(
            f"{found.reason} was built against another llama.cpp than the library that it loads:"
            " unset LLAMA_CPP_LIB_PATH, or install it again."
        )
