"""Debian's `docker-registry`, run on a free loopback port for as long as a block lasts."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

START_TIMEOUT_S = 20.0

# `htpasswd -Bbn alice s3cret`
HTPASSWD = "alice:$2b$04$T6/YyyVMldpg7sbsOWlgdeHDv3BGfCuAYTOoCNSlPRmgqyBl9QExC\n"


class RegistryDidNotStartError(RuntimeError):
    """The registry is not installed, or ended at once."""


@contextlib.contextmanager
def debian_registry(
    folder: Path,
    *,
    htpasswd: bool = False,
    auth: Mapping[str, Any] | None = None,
    tls: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Iterator[str]:
    """Run it; yields its `host:port`.

    Args:
        folder: Where it keeps everything.
        htpasswd: Whether it wants alice's password, s3cret.
        auth: Its table `auth`, for another way to log in.
        tls: Its certificate and key; None for plain http.
        port: Where it listens; None for any free one.

    Raises:
        RegistryDidNotStartError: It is not installed, or ended at once.
    """
    binary = shutil.which("docker-registry")
    if binary is None:
        raise RegistryDidNotStartError("docker-registry is not installed")
    host = f"127.0.0.1:{port or free_port()}"
    http: dict[str, Any] = {"addr": host}
    if tls is not None:
        http["tls"] = dict(tls)
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "error"},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "data")},
            "delete": {"enabled": True},
        },
        "http": http,
    }
    if htpasswd:
        (folder / "htpasswd").write_text(HTPASSWD)
        path = str(folder / "htpasswd")
        config["auth"] = {"htpasswd": {"realm": "basic-realm", "path": path}}
    if auth is not None:
        config["auth"] = dict(auth)
    # YAML is a superset of JSON.
    (folder / "config.yml").write_text(json.dumps(config))
    command = [binary, "serve", str(folder / "config.yml")]
    with running(command, f"{'http' if tls is None else 'https'}://{host}", folder / "log"):
        yield host


@contextlib.contextmanager
def running(command: Sequence[str], origin: str, log: Path) -> Iterator[None]:
    """Run a registry, of whatever kind, from when it answers to the end of the block.

    Args:
        command: Starts it.
        origin: Where it will be.
        log: Takes what it prints.

    Raises:
        RegistryDidNotStartError: It has ended, or takes too long.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        _wait_for(origin, process, log)
        yield
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_for(origin: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    unchecked = ssl._create_unverified_context()
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unchecked)
    )
    while time.monotonic() < deadline and process.poll() is None:
        try:
            opener.open(f"{origin}/v2/", timeout=1).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RegistryDidNotStartError(f"{process.args!r} did not start: {log.read_text()[-2000:]}")
