"""The JSON bodies of Docker Model Runner's API."""

from __future__ import annotations
