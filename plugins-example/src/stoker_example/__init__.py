"""Three plugins for stoker, small enough to read and made to be copied.

- `stoker_example.parrot`: a backend (the small `TextEngine` contract) with its own weight format.
- `stoker_example.lines`: a transport, JSON lines over TCP.
- `stoker_example.wheel`: a store that takes models out of Python wheels.

They import nothing of one another, so each folder can be copied alone.
"""

from __future__ import annotations
