"""The command line: ``lifecycle run app:shop``, ``lifecycle check app:shop``.

Each command is a module. It is given the parsed arguments and returns the exit code; what is wrong
with the target, the declaration or the settings is a :class:`lifecycle.errors.DefinitionError`,
which becomes words on stderr and exit code 78.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lifecycle import ExitCode, console
from lifecycle.cli import check, drain, graph, manifest, probe, run, target, timeline
from lifecycle.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_TARGET = """\
The target names a Registry, or a function that returns one, as in `app:shop`: the module `app`, as
`import` finds it from the current directory, and its attribute `shop`. `app` alone is enough where
the module has a single Registry.

Settings come from the environment: LIFECYCLE_GRACE_PERIOD=55, LIFECYCLE_DATABASE_START_TIMEOUT=10.
"""
_CODES = """\
Exit codes: 0 ended cleanly; 69 did not start; 70 a component crashed; 75 something was cut off, or
failed while stopping; 78 target, declaration or settings are wrong; 128 + N forced by signal N.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line, and return the exit code of the process.

    Args:
        arguments: what comes after the program's name; by default that of the process.

    Raises:
        SystemExit: the command line is not understood (2), it asks for help (0), or the program
            that was run ended with another code than 0.

    """
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
    except DefinitionError as error:
        console.say(target.in_words(error))
        return int(ExitCode.CONFIG)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lifecycle",
        description="Start the parts of a service in order, and end them in reverse, in time.",
        epilog=f"{_TARGET}\n{_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (run, check, graph, timeline, manifest, probe, drain):
        name = module.__name__.rpartition(".")[2]
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.DESCRIPTION,
            epilog=_TARGET if module.TARGET else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if module.TARGET:
            command.add_argument("target", metavar="MODULE[:REGISTRY]", help=module.TARGET)
        module.add_arguments(command)
        command.set_defaults(command=module.command)
    return parser
