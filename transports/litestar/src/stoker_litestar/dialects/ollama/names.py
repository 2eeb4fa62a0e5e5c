"""Names of models as Ollama's lists show them: always with a tag."""

from __future__ import annotations

_DEFAULT_TAG = "latest"


def tagged(name: str) -> str:
    """A familiar name with its tag; those that have a digest or are no plain names stay."""
    last = name.rpartition("/")[2]
    return (
        name
        if ":" in last or "@" in name or name.startswith((".", "/", "~"))
        else (f"{name}:{_DEFAULT_TAG}")
    )
