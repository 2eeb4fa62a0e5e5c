"""Weights' own words: what the headers of model files say, without reading the weights."""

from __future__ import annotations

from stoker.weights.facts import ModelFile, read_facts
from stoker.weights.gguf import GgufHeader, GgufTensor, read_gguf_header
from stoker.weights.safetensors import SafetensorsHeader, read_safetensors_header

__all__ = [
    "GgufHeader",
    "GgufTensor",
    "ModelFile",
    "SafetensorsHeader",
    "read_facts",
    "read_gguf_header",
    "read_safetensors_header",
]
