"""The command seam: what a plugin adds to the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    # Most processes that read this record show no command line.
    import click


@attrs.frozen
class CommandSpec:
    """A record of one command, `stoker NAME`."""

    name: str
    """What users type. The core's own commands and aliases cannot be replaced."""
    summary: str
    """One sentence for `stoker --help`, which does not make the command."""
    factory: Callable[[], click.Command]
    """Called when the command is used. What it runs gets the application by
    `click.pass_obj`: an object with a method `application()`."""
