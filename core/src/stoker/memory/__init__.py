"""Memory: what there is, what a model takes of it, and how long its context may be."""

from __future__ import annotations
