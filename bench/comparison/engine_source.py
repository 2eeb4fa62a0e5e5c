"""The sources of the binding that stoker runs on, and the server that llama.cpp has in them."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

from slow_command import LIMIT_S, run_slowly, say

from comparison.model import ROOT
from comparison.peer import PeerError

FOLDER = ROOT / ".cache" / "peers"
# As the binding's wheel is built: shared libraries, optimised for this processor (GGML_NATIVE is on
# by default), OpenMP. The server's web page, TLS and downloads are left out.
CMAKE_OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "BUILD_SHARED_LIBS": "ON",
    # The finished build can be moved.
    "CMAKE_BUILD_RPATH_USE_ORIGIN": "ON",
    "LLAMA_CURL": "OFF",
    "LLAMA_OPENSSL": "OFF",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_APP": "OFF",
}


@functools.cache
def engine_version() -> str:
    """The version of llama-cpp-python that this environment has."""
    return version("llama-cpp-python")


def source() -> Path:
    """The unpacked sdist of that version; downloaded once.

    Raises:
        PeerError: It cannot be downloaded.
    """
    folder = FOLDER / f"llama_cpp_python-{engine_version()}"
    if folder.exists():
        return folder
    requirement = f"llama-cpp-python=={engine_version()}"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
        say(f"Fetching the sources of {requirement} (77 MB).")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--no-binary", "llama-cpp-python", "--dest", scratch, requirement]
        if subprocess.run(command, check=False, timeout=LIMIT_S).returncode != 0:
            raise PeerError(f"pip could not download the sources of {requirement}")
        with tarfile.open(next(Path(scratch).glob("*.tar.gz"))) as archive:
            archive.extractall(scratch, filter="data")
        shutil.move(Path(scratch, folder.name), folder)
    return folder


def llama_server() -> Path:
    """The `llama-server` of those sources; built once.

    Raises:
        PeerError: It cannot be built.
    """
    folder = source()
    build = folder / "build"
    binary = build / "bin" / "llama-server"
    if binary.exists():
        return binary
    log = folder / "build.log"
    say(f"Building llama-server from source: about 12 minutes on two cores, once. Log: {log}")
    configure = ["cmake", "-S", str(folder / "vendor" / "llama.cpp"), "-B", str(build)]
    configure += [f"-D{name}={value}" for name, value in CMAKE_OPTIONS.items()]
    compile_ = ["cmake", "--build", str(build), "--target", "llama-server", "--parallel"]
    for command in (configure, compile_):
        if not run_slowly(command, doing="building llama-server", log=log):
            raise PeerError("llama-server could not be built; are CMake and a compiler installed?")
    return binary
