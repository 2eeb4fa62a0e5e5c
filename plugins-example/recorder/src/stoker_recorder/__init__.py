"""A listener that records requests, and counts them by caller.

`plugin` registers it, `recorder` writes, `summary` reads, `callers` counts.
"""

from __future__ import annotations
