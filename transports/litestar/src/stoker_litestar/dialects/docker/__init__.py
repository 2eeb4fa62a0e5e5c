"""Docker Model Runner's API: its own routes, and those of others below its prefixes.

https://docs.docker.com/ai/model-runner/api-reference/
"""

from __future__ import annotations
