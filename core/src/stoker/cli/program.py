"""The command `stoker`: its options, and its end, whatever happens."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from click.shell_completion import shell_complete

from stoker.cli.command_list import COMMANDS, LazyCommands
from stoker.cli.exit_codes import INVALID_INPUT, OK, SUMMARY
from stoker.cli.failure import end_with
from stoker.cli.invocation import Invocation
from stoker.version import __version__

_COMPLETE = "_STOKER_COMPLETE"
"""Set by the shell when it asks for completions, to what it asks."""


@click.group(
    cls=LazyCommands,
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
@click.option("-v", "--verbose", is_flag=True, help="Log, and show tracebacks of bugs.")
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def program(
    context: click.Context,
    /,
    *,
    config_file: Path | None,
    assignments: tuple[str, ...],
    blocked: tuple[str, ...],
    verbose: bool,
) -> None:
    """Run language models on this machine.

    Models come from registries and other stores, are run by engine plugins, and are served to
    clients by transport plugins: see `stoker plugins`.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(INVALID_INPUT)
    invocation: Invocation = context.obj
    invocation.config_file = config_file
    invocation.assignments = assignments
    invocation.blocked = blocked
    invocation.verbose = verbose
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
