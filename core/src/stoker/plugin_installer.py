"""Installing and removing distributions of plugins, in the environment that stoker runs in.

pip does it or, where there is none (environments that uv made), uv. Both run as child processes:
neither has an API for programs.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import attrs

from stoker.errors import UnavailableError
from stoker.version import __version__

TIMEOUT_S = 3600.0
"""Some engines are built where they are installed."""


@attrs.frozen
class PackageSources:
    """Where distributions come from, besides what pip or uv are configured for."""

    find_links: tuple[str, ...] = ()
    """Folders or pages with wheels."""
    index: bool = True
    """Whether to ask an index, too."""


@attrs.frozen
class PluginInstaller:
    """pip or uv, for this environment."""

    name: str
    command: tuple[str, ...]
    target: tuple[str, ...] = ()
    """Says which environment is meant, after the verb."""
    yes: tuple[str, ...] = ()
    """Answers the question of `uninstall`."""

    @classmethod
    def here(cls) -> PluginInstaller:
        """The one that there is.

        Raises:
            UnavailableError: There is none.
        """
        if importlib.util.find_spec("pip") is not None:
            # -P: a pip.py in the current folder must not be taken for pip.
            command = (sys.executable, "-P", "-m", "pip", "--disable-pip-version-check")
            return cls("pip", (*command, "--no-input"), yes=("--yes",))
        if uv := shutil.which("uv"):
            return cls("uv", (uv, "pip"), target=("--python", sys.executable))
        raise UnavailableError(
            "Neither pip nor uv is here to install anything: run `python -m ensurepip` in the"
            f" environment of {sys.executable}, or install uv."
        )

    def install(
        self, requirements: Sequence[str], sources: PackageSources, *, upgrade: bool = False
    ) -> None:
        """Install distributions, and what they need.

        stoker itself stays at its version, unless it is named: a plugin for another one is
        refused and does not replace what runs.

        Args:
            requirements: Names with or without versions, folders, or wheels.
            sources: Where they come from.
            upgrade: Take newer versions than those that are here.

        Raises:
            UnavailableError: It did not work.
        """
        options = [option for link in sources.find_links for option in ("--find-links", link)]
        if not sources.index:
            options.append("--no-index")
        if upgrade:
            options.append("--upgrade")
        with tempfile.TemporaryDirectory(prefix="stoker-") as folder:
            if not any(_names_stoker(requirement) for requirement in requirements):
                constraints = Path(folder) / "constraints.txt"
                constraints.write_text(f"stoker=={__version__}\n", encoding="utf-8")
                options += ["--constraint", str(constraints)]
            self._run("install", [*options, "--", *requirements])

    def uninstall(self, distributions: Sequence[str]) -> None:
        """Remove distributions; what they needed stays.

        Raises:
            UnavailableError: It did not work.
        """
        self._run("uninstall", [*self.yes, "--", *distributions])

    def _run(self, verb: str, arguments: Sequence[str]) -> None:
        try:
            done = subprocess.run(
                [*self.command, verb, *self.target, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=2,  # What it says is for people: standard output is for results.
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise UnavailableError(f"{self.name} took longer than {TIMEOUT_S:g} s.") from exc
        except OSError as exc:
            raise UnavailableError(f"{self.name} cannot be started: {exc.strerror}.") from exc
        if done.returncode:
            raise UnavailableError(
                f"{self.name} could not {verb} this; what it said above tells why."
            )


def _names_stoker(requirement: str) -> bool:
    name = requirement.strip().lower()
    return name == "stoker" or name.startswith(
        ("stoker=", "stoker<", "stoker>", "stoker!", "stoker~", "stoker[")
    )
