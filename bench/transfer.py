"""Pulls and pushes of one large blob, side by side with skopeo, oras, its Python SDK and curl.

Run by name: `make bench NAME=transfer`, or with `ARGS=pull`, `push` or `slow` for one part. Needs
Debian's docker-registry; peers that are not installed are left out. Peers take turns, round after
round, because machines are noisy; the medians of all rounds are printed, and the peak memory.

*verified* peers compare the digest of what came; the others only move bytes. In the part `slow`
every connection is held to 20 MB/s, as a link over a long way may be.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
from debian_registry import debian_registry
from slow_link import Link

MIB = 1024**2
SLOW_BYTES_PER_S = 20e6
GGUF = "application/vnd.docker.ai.gguf.v3"

_ORAS_PULL = """
import sys, oras.client
client = oras.client.OrasClient(hostname=sys.argv[1].split("/")[0], insecure=True)
client.pull(target=sys.argv[1], outdir=sys.argv[2])
"""
_ORAS_PUSH = """
import sys, oras.client
client = oras.client.OrasClient(hostname=sys.argv[1].split("/")[0], insecure=True)
client.push(target=sys.argv[1], files=[sys.argv[2]], disable_path_validation=True, do_chunked=True)
"""


@attrs.frozen
class Usage:
    """What one run took."""

    wall_s: float
    peak_mib: float
    cpu_s: float


@attrs.frozen
class Peer:
    """A program that moves a model, and how it is called."""

    name: str
    command: Sequence[str]
    environment: dict[str, str] = attrs.field(factory=dict)
    is_verified: bool = attrs.field(default=True, kw_only=True)


def run(peer: Peer) -> Usage:
    """Run a peer once, in a process of its own."""
    started_s = time.perf_counter()
    process = subprocess.Popen(
        peer.command,
        env=os.environ | {"NO_PROXY": "*"} | peer.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started_s
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{peer.name} failed: {said.decode(errors='replace')[-500:]}")
    return Usage(wall_s, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)


def stoker(home: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """A command line of stoker, and its environment."""
    return [sys.executable, "-m", "stoker", *arguments], {"STOKER_HOME": str(home)}


def measure(
    title: str,
    make_peers: Callable[[Path, contextlib.ExitStack], Sequence[Peer]],
    folder: Path,
    rounds: int,
) -> None:
    """Let all peers take turns, and print what they took.

    Args:
        title: What is measured.
        make_peers: Called before each round, with a folder and what is to end with the round.
        folder: Where the rounds have theirs.
        rounds: How many.
    """
    taken: dict[tuple[str, bool], list[Usage]] = {}
    for number in range(rounds):
        scratch = folder / f"round-{number}"
        scratch.mkdir()
        with contextlib.ExitStack() as stack:
            for peer in make_peers(scratch, stack):
                os.sync()
                taken.setdefault((peer.name, peer.is_verified), []).append(run(peer))
        shutil.rmtree(scratch)
    print(f"\n{title}, {rounds} rounds, medians")
    for (name, is_verified), usages in taken.items():
        walls = sorted(usage.wall_s for usage in usages)
        print(
            f"  {name:<12} {'verified' if is_verified else '':<9}"
            f" {statistics.median(walls):6.2f} s ({walls[0]:.2f}-{walls[-1]:.2f})"
            f" {statistics.median(usage.cpu_s for usage in usages):6.2f} s CPU"
            f" {max(usage.peak_mib for usage in usages):7.1f} MiB at most",
            flush=True,
        )
    others = [
        statistics.median(usage.wall_s for usage in usages)
        for (name, is_verified), usages in taken.items()
        if is_verified and name != "stoker"
    ]
    if others:
        own_s = statistics.median(usage.wall_s for usage in taken["stoker", True])
        print(f"  stoker takes {own_s / min(others):.2f} of the fastest verifying peer's time")


def pull_peers(host: str, digest: str, scratch: Path) -> list[Peer]:
    """Everybody who can pull the model."""
    name = f"{host}/bench/big:v1"
    command, environment = stoker(scratch / "stoker", "pull", name)
    peers = [Peer("stoker", command, environment)]
    if skopeo := shutil.which("skopeo"):
        target = f"oci:{scratch / 'skopeo'}:v1"
        peers.append(
            Peer(
                "skopeo",
                (skopeo, "copy", "-q", "--src-tls-verify=false", f"docker://{name}", target),
            )
        )
    if oras := shutil.which("oras"):
        # `oras pull` would leave out what has no title; a copy takes all.
        target = f"{scratch / 'oras'}:v1"
        flags = ("cp", "--from-plain-http", "--to-oci-layout")
        peers.append(Peer("oras", (oras, *flags, name, target)))
    sdk = (sys.executable, "-c", _ORAS_PULL, name, str(scratch / "oras-py"))
    peers.append(Peer("oras (SDK)", sdk, is_verified=False))
    if curl := shutil.which("curl"):
        url = f"http://{host}/v2/bench/big/blobs/{digest}"
        peers.append(
            Peer("curl", (curl, "-sf", "-o", str(scratch / "curl"), url), is_verified=False)
        )
    return peers


def push_peers(target: str, source: str, weights: Path, home: Path, layout: Path) -> list[Peer]:
    """Everybody who can push it, each to a repository of its own below `target`."""
    command, environment = stoker(home, "tag", source, f"{target}/stoker:v1")
    run(Peer("stoker", command, environment))
    command, environment = stoker(home, "push", f"{target}/stoker:v1")
    peers = [Peer("stoker", command, environment)]
    if skopeo := shutil.which("skopeo"):
        flags = ("copy", "-q", "--dest-tls-verify=false")
        source = f"oci:{layout}:v1"
        peers.append(Peer("skopeo", (skopeo, *flags, source, f"docker://{target}/skopeo:v1")))
    if oras := shutil.which("oras"):
        command = [oras, "push", "--plain-http", "--disable-path-validation"]
        peers.append(Peer("oras", (*command, f"{target}/oras:v1", f"{weights}:{GGUF}")))
    sdk = (sys.executable, "-c", _ORAS_PUSH, f"{target}/oras-py:v1", str(weights))
    peers.append(Peer("oras (SDK)", sdk, is_verified=False))
    return peers


def publish(folder: Path, host: str, size_bytes: int) -> tuple[Path, str]:
    """Put a model of random bytes into the registry; returns its file and digest."""
    weights = folder / "weights.gguf"
    with weights.open("wb") as file:
        for _ in range(size_bytes // MIB):
            file.write(os.urandom(MIB))
    name = f"{host}/bench/big:v1"
    package = ("package", name, "--weights", str(weights), "--media-type", GGUF)
    for arguments in (package, ("push", name)):
        command, environment = stoker(folder / "home", *arguments)
        run(Peer("stoker", command, environment))
    done = subprocess.run(["sha256sum", str(weights)], capture_output=True, text=True, check=True)
    return weights, f"sha256:{done.stdout.split()[0]}"


def main() -> None:
    """Measure the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="pull|push|slow")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=1024, metavar="MIB")
    parser.add_argument("--slow-size", type=int, default=256, metavar="MIB")
    parser.add_argument("--directory", type=Path, help="where everything is written")
    arguments = parser.parse_args()
    parts = arguments.parts or ["pull", "push", "slow"]
    with tempfile.TemporaryDirectory(dir=arguments.directory) as name:
        folder = Path(name)
        (folder / "registry").mkdir()
        with debian_registry(folder / "registry") as host:
            if {"pull", "push"} & set(parts):
                weights, digest = publish(folder, host, arguments.size * MIB)
            if "pull" in parts:
                measure(
                    f"Pull of {arguments.size} MiB over loopback",
                    lambda scratch, _: pull_peers(host, digest, scratch),
                    folder,
                    arguments.rounds,
                )
            if "push" in parts:
                layout = folder / "layout"
                if skopeo := shutil.which("skopeo"):
                    source = f"docker://{host}/bench/big:v1"
                    flags = ("copy", "-q", "--src-tls-verify=false")
                    run(Peer("skopeo", (skopeo, *flags, source, f"oci:{layout}:v1")))

                def peers(scratch: Path, stack: contextlib.ExitStack) -> list[Peer]:
                    # A registry per round: skopeo remembers by its address where blobs can be
                    # mounted from, and then sends none.
                    fresh = stack.enter_context(debian_registry(scratch))
                    source = f"{host}/bench/big:v1"
                    return push_peers(f"{fresh}/push", source, weights, folder / "home", layout)

                title = f"Push of {arguments.size} MiB over loopback"
                measure(title, peers, folder, arguments.rounds)
            if "slow" in parts:
                (folder / "slow").mkdir()
                _, digest = publish(folder / "slow", host, arguments.slow_size * MIB)
                with Link(host, bytes_per_s=SLOW_BYTES_PER_S) as link:
                    measure(
                        f"Pull of {arguments.slow_size} MiB at 20 MB/s per connection",
                        lambda scratch, _: pull_peers(link.host, digest, scratch),
                        folder,
                        1,
                    )


if __name__ == "__main__":
    main()
