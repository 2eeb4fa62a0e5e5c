"""The text pipeline: between requests and events on one side and an engine on the other.

It runs in the thread that loaded the engine. Start at `stoker.text.session`.
"""

from __future__ import annotations
