"""Build the wheel of one requirement, once, and say while it takes long that it does.

    python tools/build_wheel.py llama-cpp-python==0.3.36 .cache/wheels

The wheel lands in a folder named after this Python, the platform and the compiler options, so
that a new virtual environment finds it again. The folder's path is printed on standard output;
everything else goes to standard error.
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
import time
from pathlib import Path

from slow_command import run_slowly, say

# What pip hands on to CMake; other values make other wheels.
BUILD_SETTINGS = ("CMAKE_ARGS", "CFLAGS", "CXXFLAGS")


def wheel_folder(root: Path) -> Path:
    """The folder for wheels that this Python, platform and build settings share."""
    key = f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
    settings = [f"{name}={os.environ[name]}" for name in BUILD_SETTINGS if os.environ.get(name)]
    if settings:
        key += "-" + hashlib.sha256("\n".join(settings).encode()).hexdigest()[:8]
    return root / key


def built(requirement: str, folder: Path) -> bool:
    """Whether the folder has the requirement's wheel."""
    name, _, version = requirement.partition("==")
    return any(folder.glob(f"{name.replace('-', '_')}-{version}-*.whl"))


def build(requirement: str, folder: Path) -> None:
    """Build the wheel.

    Raises:
        SystemExit: pip failed, or did not end within the limit; the log's end was shown.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "build.log"
    say(f"Building {requirement} from source: 5 to 10 minutes on two cores, once. Log: {log}")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps"]
    command += ["--wheel-dir", str(folder), requirement]
    started = time.monotonic()
    done = run_slowly(command, doing=f"building {requirement}", log=log)
    if not done or not built(requirement, folder):
        raise SystemExit(f"{requirement} could not be built; is a C/C++ compiler installed?")
    say(f"Built {requirement} in {time.monotonic() - started:.0f} s.")


def main() -> None:
    """Build what is missing and print where it is."""
    requirement, root = sys.argv[1], Path(sys.argv[2])
    folder = wheel_folder(root)
    if not built(requirement, folder):
        build(requirement, folder)
    print(folder)


if __name__ == "__main__":
    main()
