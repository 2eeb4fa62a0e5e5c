"""GGUF models on llama.cpp: `plugin` registers the backend, `engine` is it.

Only `plugin`, `options` and `binding` may be imported without llama-cpp-python being installed.
"""

from __future__ import annotations
