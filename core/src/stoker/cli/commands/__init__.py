"""The commands, a module each, named as the command; `stoker.cli.command_list` lists them.

A module here imports at its top what its `--help` needs, and the rest when its command runs.
"""

from __future__ import annotations
