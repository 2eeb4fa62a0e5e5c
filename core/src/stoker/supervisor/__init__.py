"""The supervisor: the asyncio process that owns runners and serves transports.

Everything here runs on one event loop and holds no locks; store code runs in worker threads.
"""

from __future__ import annotations
