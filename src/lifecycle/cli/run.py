"""``lifecycle run``: a registry as the whole program."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import lifecycle
from lifecycle import Settings, signals
from lifecycle.cli.importing import watched
from lifecycle.cli.target import load
from lifecycle.errors import DefinitionError
from lifecycle.settings import DEFAULT_SIGNALS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    from lifecycle import System, events

    Companion = Callable[[System], AbstractAsyncContextManager[Any]]

TARGET = "what to run"
HELP = "run a registry as the whole program, until a signal or its own end"
DESCRIPTION = """\
Run a registry as the whole program. Signal handlers are in place before the module is imported:
a SIGTERM during a slow import ends the program cleanly as soon as the import is over.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        "--backend",
        choices=("asyncio", "uvloop", "trio"),
        default="asyncio",
        help="the event loop (default: %(default)s)",
    )


def command(options: argparse.Namespace) -> int:
    """Run the target, and return 0 if that went well.

    Raises:
        DefinitionError: the target, the declaration or the settings are wrong.
        SystemExit: it ended with another code.

    """
    program(options, Settings.from_env())
    return 0


def program(
    options: argparse.Namespace,
    settings: Settings,
    companions: Sequence[Companion] = (),
    observers: Sequence[events.Observer] = (),
) -> None:
    """Run the target as the whole program.

    Raises:
        DefinitionError: the target, the declaration or the settings are wrong.
        SystemExit: it ended with another code than 0.

    """
    # As PID 1 a signal without a handler is lost. Those that come now are kept for the system, and
    # so are those that have waited for this moment (`_lifecycle_command`).
    with signals.handling(settings.signals):
        with watched(settings):
            _let_in(settings.signals)
            run = lifecycle.run  # which has to be imported, too
            registry = load(options.target)
        try:
            run(
                registry,
                settings,
                backend=options.backend,
                companions=companions,
                observers=observers,
            )
        except ImportError as error:  # of the event loop
            raise DefinitionError(str(error)) from None


def _let_in(numbers: Iterable[int]) -> None:
    """Unblock signals: a handler that its signal cannot reach is none, whoever has blocked it."""
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*DEFAULT_SIGNALS, *numbers})
