"""The seam to mlx-lm: which versions are let in, and loading it.

Nothing here imports it but `load`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import sys

from stoker.backend import Availability
from stoker.errors import BackendUnavailableError

BACKEND = "mlx"
DISTRIBUTION = "mlx-lm"

CUDA_LIBRARIES = ("mlx-cuda-13", "mlx-cuda-12")
LINUX_LIBRARIES = (*CUDA_LIBRARIES, "mlx-cpu")
"""On Linux the distribution `mlx` is the Python part alone; one of these has the library."""


@functools.cache
def tested_versions() -> str:
    """The range of versions that this backend was tested with, as its own metadata says.

    Raises:
        BackendUnavailableError: The metadata is not there, or says nothing.
    """
    from packaging.requirements import Requirement  # noqa: PLC0415 - no command waits for it

    try:
        lines = importlib.metadata.requires("stoker-mlx") or ()
    except importlib.metadata.PackageNotFoundError:
        lines = ()
    for line in lines:
        requirement = Requirement(line)
        if requirement.name == DISTRIBUTION:
            return str(requirement.specifier)
    raise BackendUnavailableError(
        "stoker-mlx is not installed properly: pip install 'stoker[mlx]'."
    )


def installed(distribution: str) -> str | None:
    """The version of a distribution, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def availability() -> Availability:
    """Whether it can run here, with a sentence that says what to do if not."""
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - no command waits for it

    try:
        tested = SpecifierSet(tested_versions())
    except BackendUnavailableError as exc:
        return _missing(exc.message)
    version = installed(DISTRIBUTION)
    if version is None:
        return _missing(f"{DISTRIBUTION} is not installed: pip install 'stoker[mlx]'.")
    if not tested.contains(version, prereleases=True):
        return _missing(
            f"{DISTRIBUTION} {version} is not among the tested versions:"
            f" pip install '{DISTRIBUTION}{tested}'."
        )
    core = installed("mlx")
    if core is None:
        return _missing("mlx is not installed: pip install mlx (on macOS and Linux).")
    if sys.platform != "linux":
        return Availability(available=True, reason=f"{DISTRIBUTION} {version}, mlx {core}")
    library = next(filter(installed, LINUX_LIBRARIES), None)
    if library is None:
        return _missing(
            "mlx is installed without a library for Linux: pip install 'stoker-mlx[cpu]', or"
            " 'stoker-mlx[cuda13]' for NVIDIA's GPUs."
        )
    return Availability(available=True, reason=f"{DISTRIBUTION} {version}, {library} {core}")


def load() -> None:
    """Load the library, once its version was checked.

    Raises:
        BackendUnavailableError: It is missing, of an untested version, or does not load.
    """
    found = availability()
    if not found.available:
        raise BackendUnavailableError(found.reason)
    try:
        importlib.import_module("mlx.core")
        importlib.import_module("mlx_lm.models.cache")
    except (ImportError, OSError, AttributeError, RuntimeError, ValueError) as exc:
        raise BackendUnavailableError(
            f"{found.reason} is installed, but does not load: {exc}."
        ) from exc


def _missing(reason: str) -> Availability:
    return Availability(available=False, reason=reason)
