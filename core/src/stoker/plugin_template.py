"""Templates of plugins: packages of installed distributions, copied and renamed into a project.

A distribution offers one by an entry point of the group `stoker.templates`: a kind on the left,
a package on the right. The package has, besides its modules, a `template.toml` (see `TemplateFile`)
and a module `contract` with the tests of the plugin, which subclass the contract kit.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import attrs
import msgspec

from stoker.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from stoker.version import __version__

GROUP = "stoker.templates"
SETTINGS = "template.toml"
TESTS = "contract.py"

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class TemplateFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A package's `template.toml`. `{name}` and `{module}` in its texts are filled in."""

    description: str
    """Of the new distribution."""
    replace: dict[str, str] = {}
    """Texts of the package's modules that become others, besides the package's own name."""
    requires: tuple[str, ...] = ()
    """What the new distribution depends on besides stoker."""
    files: dict[str, str] = {}
    """Other files of the project, by path."""
    steps: tuple[str, ...] = ()
    """What to type after the installation to see the plugin at work."""


@attrs.frozen
class NewProject:
    """A project that was written."""

    folder: Path
    files: tuple[str, ...]
    steps: tuple[str, ...]


def kinds() -> dict[str, metadata.EntryPoint]:
    """The templates that are installed, by kind."""
    return {item.name: item for item in metadata.entry_points(group=GROUP)}


def write_project(name: str, kind: str, parent: Path) -> NewProject:
    """Write a project into a new folder of the distribution's name.

    Args:
        name: Of the plugin: lower-case words with `-` between them.
        kind: A key of `kinds()`.
        parent: Where the folder is made.

    Raises:
        InvalidInputError: The name is none.
        NotFoundError: No such template is installed.
        ConflictError: The folder exists.
        UnavailableError: The files cannot be written, or the template is broken.
    """
    name = name.removeprefix("stoker-")
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            f"{name!r} is no name of a plugin: write lower-case words with - between them."
        )
    found = kinds()
    if kind not in found:
        raise NotFoundError(
            f"No template for {kind!r} is installed; there are:"
            f" {', '.join(sorted(found)) or 'none'}."
            " `stoker plugins install stoker-example` brings some."
        )
    folder = parent / f"stoker-{name}"
    if folder.exists():
        raise ConflictError(f"{folder} exists already: choose another name or folder.")
    words = {"name": name, "module": f"stoker_{name.replace('-', '_')}"}
    files, steps = _files(found[kind], words)
    try:
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise UnavailableError(f"{folder} cannot be written: {exc.strerror}.") from exc
    return NewProject(folder, tuple(sorted(files)), steps)


def _files(
    entry_point: metadata.EntryPoint, words: Mapping[str, str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The project's files by path, and the steps."""
    package = entry_point.value
    try:
        spec = importlib.util.find_spec(package)
        (place,) = [] if spec is None else list(spec.submodule_search_locations or [])
        settings = msgspec.toml.decode((Path(place) / SETTINGS).read_bytes(), type=TemplateFile)
        sources = {path.name: path.read_text("utf-8") for path in sorted(Path(place).glob("*.py"))}
        tests = sources.pop(TESTS)
    except (ImportError, ValueError, OSError, KeyError, msgspec.MsgspecError) as exc:
        raise UnavailableError(f"The template {entry_point.name!r} is broken: {exc}.") from exc
    replace = {**settings.replace, package: "{module}"}

    def renamed(text: str) -> str:
        # The longest first, so that a text within another one is left to that.
        for old in sorted(replace, key=len, reverse=True):
            text = text.replace(old, _fill(replace[old], words))
        return text

    module = words["module"]
    files = {f"src/{module}/{file}": renamed(text) for file, text in sources.items()}
    files[f"src/{module}/py.typed"] = ""
    files["tests/test_contract.py"] = renamed(tests)
    files["pyproject.toml"] = _pyproject(settings, words)
    steps = tuple(_fill(step, words) for step in settings.steps)
    files["README.md"] = _readme(settings, words, steps)
    for path, text in settings.files.items():
        files[_fill(path, words)] = _fill(text, words)
    return files, steps


def _fill(text: str, words: Mapping[str, str]) -> str:
    # No str.format: braces of any other kind are text.
    for key, value in words.items():
        text = text.replace(f"{{{key}}}", value)
    return text


def _pyproject(settings: TemplateFile, words: Mapping[str, str]) -> str:
    dependencies = sorted((*settings.requires, f"stoker=={__version__}"))
    lines = "".join(f'  "{item}",\n' for item in dependencies)
    return _fill(
        f"""\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "stoker-{{name}}"
version = "0.1.0"
description = "{_fill(settings.description, words)}"
readme = "README.md"
requires-python = ">=3.11"
dependencies = [
{lines}]

[project.optional-dependencies]
test = ["pytest>=8"]

# The name that `stoker plugins` shows, and the module with the hooks.
[project.entry-points."stoker.v1"]
{{name}} = "{{module}}.plugin"

[tool.hatch.build.targets.wheel]
packages = ["src/{{module}}"]

[tool.pytest.ini_options]
testpaths = ["tests"]
""",
        words,
    )


def _readme(settings: TemplateFile, words: Mapping[str, str], steps: tuple[str, ...]) -> str:
    commands = "".join(f"    $ {line}\n" for line in ("pip install -e '.[test]'", "pytest", *steps))
    return _fill(f"# stoker-{{name}}\n\n{_fill(settings.description, words)}\n\n{commands}", words)
