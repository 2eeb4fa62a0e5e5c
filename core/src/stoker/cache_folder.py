"""Folders for what plugins can compute again, and would rather not."""

from __future__ import annotations

from pathlib import Path

from stoker.config.sources import home_directory
from stoker.control.place import private_directory


def cache_folder(plugin: str) -> Path:
    """Make a plugin's cache folder in stoker's home, which only its owner can enter.

    Several processes may use it at once, and anyone may remove what is in it while none does. The
    plugin keeps it small: stoker never cleans up there.

    Args:
        plugin: The name of the backend, store or transport; becomes the folder's name.

    Raises:
        UnavailableError: It cannot be made, or somebody else owns it.
    """
    path = home_directory() / "cache" / plugin
    private_directory(path)
    return path
