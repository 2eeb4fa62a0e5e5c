"""Every block of code in the documentation holds."""

from __future__ import annotations

import tomllib
from pathlib import Path

import click
import pytest

from stoker.application import Application
from stoker.cli import main
from stoker.cli.program import program
from stoker.config import Settings, Source

from .conftest import Block, all_blocks, blocks

RUNS_A_MODEL = "stoker.open"
MODELS = {"ai/smollm2": "model_file", "ai/all-minilm": "embedder_file"}
"""The fixture of the weights for each model that the pages open."""

COMMANDS_OF_PLUGINS = {"recorded"}
"""Of plugins in this repository; the core does not list them."""


def _marked(found: list[Block]) -> list[object]:
    """The blocks as parameters; those that run a model carry the mark that says so."""
    return [
        pytest.param(
            block, id=str(block), marks=[pytest.mark.model] if RUNS_A_MODEL in block.code else []
        )
        for block in found
    ]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and working directory."""
    monkeypatch.setenv("STOKER_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("STOKER_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.mark.parametrize("block", _marked(blocks("python")))
@pytest.mark.usefixtures("home")
def test_python_runs(block: Block, request: pytest.FixtureRequest) -> None:
    """A Python block runs from its first to its last line."""
    if RUNS_A_MODEL in block.code:
        for name, fixture in MODELS.items():
            if f'stoker.open("{name}")' in block.code:
                weights = request.getfixturevalue(fixture)
                assert 0 == main(["package", "--quiet", name, "--weights", str(weights)])
    # The blank lines make the line numbers of a traceback those of the page.
    code = compile("\n" * (block.line - 1) + block.code, block.page, "exec", dont_inherit=True)

    exec(code, {"__name__": "documentation"})


@pytest.mark.parametrize("block", blocks("console"), ids=str)
def test_console_commands_exist(block: Block) -> None:
    """Each `stoker` line in a console block has a command, options and arguments that exist."""
    for words in block.console_commands():
        while words and "=" in words[0]:
            words.pop(0)
        if words[0].rpartition("/")[2] != "stoker":
            continue
        command: click.Command = program
        rest = words[1:]
        context = click.Context(program, info_name="stoker")
        while isinstance(command, click.Group):
            _, rest, _ = command.make_parser(context).parse_args(rest)
            if not rest and command.invoke_without_command and command is not program:
                break
            assert rest, f"{words} names no command"
            name = rest.pop(0)
            if command is program and name in COMMANDS_OF_PLUGINS:
                command = click.Command(name, params=[click.Option(["--json"], is_flag=True)])
                break
            child = command.get_command(context, name)
            assert child is not None, f"stoker has no command {name}"
            command, context = child, click.Context(child, parent=context, info_name=name)
        _, left, _ = command.make_parser(context).parse_args(rest)
        assert [] == left, f"{words}: these arguments are too many"


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_settings_exist(block: Block, home: Path) -> None:
    """A TOML block is a configuration that the core and the shipped plugins accept."""
    table = tomllib.loads(block.code)
    if "project" in table:
        assert {"entry-points", "name", "dependencies"} & set(table["project"])
        return
    settings = Settings(home=home, sources=(Source(str(block), table),))
    plugins = Application.create(environ={"STOKER_HOME": str(home)}).plugins

    for section in ("backends", "stores", "transports", "listeners"):
        for name in table.get(section, {}):
            spec = getattr(plugins, section)[name]
            settings.options(section, name, spec.options_type)


def test_all_languages_are_checked() -> None:
    """There is no block in a language that nothing here looks at."""
    checked = {"console", "python", "toml"}
    found = {block.language for block in all_blocks()}

    assert checked <= found
    # Names in braces are directives, which the documentation's build checks.
    assert {"text"} == {name for name in found - checked if not name.startswith("{")}
