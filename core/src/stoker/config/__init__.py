"""Configuration: `stoker.toml`, then the environment, then flags; the last word wins."""

from __future__ import annotations

from stoker.config.schema import Config, MemoryConfig, ModelConfig
from stoker.config.settings import Settings, Source
from stoker.config.sources import load_settings

__all__ = ["Config", "MemoryConfig", "ModelConfig", "Settings", "Source", "load_settings"]
