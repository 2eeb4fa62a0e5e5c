"""From logits to tokens: sampling for engines whose library leaves that to them.

Needs numpy, which an engine that gives logits has anyway; the rest of stoker does without. Rows of
logits are one-dimensional arrays of 32-bit floats.
"""

from __future__ import annotations
