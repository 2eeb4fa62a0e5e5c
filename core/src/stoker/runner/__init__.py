"""The runner: a process of its own for one loaded model.

`python -m stoker.runner FD` talks frames (`stoker.wire.frames`) over the inherited socket FD. It
has one loop and, besides a thread that sleeps until the supervisor is gone, one thread.
"""

from __future__ import annotations
