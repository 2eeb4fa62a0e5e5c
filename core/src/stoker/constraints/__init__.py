"""Constraints: from the form that a request prescribes to masks of tokens, for every engine.

It works on llguidance, which is imported when it is needed. Start at `stoker.constraints.compiler`.
"""

from __future__ import annotations
