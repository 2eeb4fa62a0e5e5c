"""The control socket: how the command line talks to a running `stoker serve`.

A Unix socket that only its owner can open, and the runners' frame protocol: it needs no transport
plugin, no port and no key. There is one server per home.
"""

from __future__ import annotations
