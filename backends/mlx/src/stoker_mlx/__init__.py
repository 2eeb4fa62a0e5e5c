"""Safetensors models on MLX: `plugin` registers the backend, `engine` is it.

Only `plugin`, `options`, `library`, and what they import to plan a load, may be imported without
MLX being installed.
"""

from __future__ import annotations
