"""The peers, as the command line names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from comparison.peer import Peer, PeerError
from comparison.peers.bare_loop import BareLoop
from comparison.peers.binding_servers import ExampleServer, PackagedServer
from comparison.peers.llama_server import LlamaServer
from comparison.peers.mlx import MlxLmServer, StokerOnMlx
from comparison.peers.stoker import Stoker

KINDS: Mapping[str, type[Peer]] = {
    "llama-server": LlamaServer,
    "example-server": ExampleServer,
    "packaged-server": PackagedServer,
    "bare": BareLoop,
    "stoker": Stoker,
    "mlx-lm": MlxLmServer,
    "stoker-mlx": StokerOnMlx,
}


def make_peers(names: Sequence[str], stokers: Mapping[str, Path]) -> list[Peer]:
    """The peers of these names, each once.

    Args:
        names: Of a kind or a stoker, with arguments behind colons: `stoker:speculation=false`.
        stokers: Labels of further checkouts, with their commands.

    Raises:
        PeerError: A name means nothing.
    """
    return [_make(name, stokers) for name in dict.fromkeys(names)]


def _make(name: str, stokers: Mapping[str, Path]) -> Peer:
    kind, *arguments = name.split(":")
    if kind in stokers:
        return Stoker(name, arguments, command=stokers[kind])
    if kind not in KINDS:
        known = ", ".join([*KINDS, *stokers])
        raise PeerError(f"there is no peer {kind!r}; there are: {known}")
    return KINDS[kind](name, arguments)
