"""The command `stoker`: its options, and its end, whatever happens."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import shell_complete

from stoker.cli.command_list import COMMANDS, LazyCommands
from stoker.cli.exit_codes import INVALID_INPUT, OK, SUMMARY
from stoker.cli.failure import end_with
from stoker.cli.invocation import Invocation
from stoker.version import __version__

_COMPLETE = "_STOKER_COMPLETE"
"""Set by the shell when it asks for completions, to what it asks."""


class Program(LazyCommands):
    """The core's commands and, for any other name, those that plugins add.

    Help does not list the latter: it would have to load every plugin first.
    """

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command; plugins are loaded only when it is none of the core's."""
        command = super().get_command(ctx, cmd_name)
        if command is not None or not isinstance(ctx.obj, Invocation):
            return command
        from stoker.cli.plugin_command import find_command

        ctx.obj.configure(**ctx.params)
        return find_command(ctx.obj, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, and where to look for more."""
        super().format_commands(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text("Plugins may add commands: `stoker plugins` shows what they provide.")


@click.group(
    cls=Program,
    entries=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=SUMMARY,
)
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The configuration file, instead of stoker.toml in stoker's home.",
)
@click.option(
    "--set",
    "assignments",
    metavar="KEY=VALUE",
    multiple=True,
    help="A setting, like defaults.keep_alive_s=60. May be given several times.",
)
@click.option(
    "--no-plugin",
    "blocked",
    metavar="NAME",
    multiple=True,
    help="Do not load this plugin. May be given several times.",
)
@click.option(
    "--plugin",
    "allowed",
    metavar="NAME",
    multiple=True,
    help="Load this plugin, and no other that is not named so. May be given several times.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log, and show tracebacks of bugs.")
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def program(
    context: click.Context,
    /,
    **options: Any,
) -> None:
    """Run language models on this machine.

    Models come from registries and other stores, are run by engine plugins, and are served to
    clients by transport plugins: see `stoker plugins`.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(INVALID_INPUT)
    invocation: Invocation = context.obj
    invocation.configure(**options)
    invocation.start_logging()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Without the program's name; None takes those of the process.

    Returns:
        The exit code; see `stoker.cli.exit_codes`.
    """
    if instruction := os.environ.get(_COMPLETE):
        return shell_complete(program, {}, "stoker", _COMPLETE, instruction)
    invocation = Invocation()
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Not `program.main`: it takes a closed pipe for a failure and an EOFError for Ctrl-C.
    try:
        with program.make_context("stoker", given, obj=invocation) as context:
            program.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except BrokenPipeError:
        # Whoever read (`stoker list | head`) has seen enough. Python flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - the last place to catch it
        return end_with(exc, invocation)
    return OK
