"""How programs are declared."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from lifecycle import Retry
from lifecycle.errors import DefinitionError, SettingsError
from lifecycle.integrations.process._process import Process
from lifecycle.integrations.process._program import Program, demand_argv
from lifecycle.integrations.process._ready import AtOnce, Ready
from lifecycle.settings.durations import Seconds
from lifecycle.settings.policy import is_signal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from typing_extensions import Unpack

    Words: TypeAlias = Sequence[str | os.PathLike[str]]


class ProcessOptions(TypedDict, total=False):
    """What can be said of a program beside its arguments."""

    env: Mapping[str, str]
    """Environment variables for it, beside those of this process, and before them."""
    cwd: str | os.PathLike[str]
    """Its working directory."""
    user: str | int
    """The name or the number of the user that it runs as, with that user's groups. Another one than
    this process's needs root."""
    stop_signal: int
    """What it is asked to stop with; SIGTERM by default."""
    signal_all: bool
    """Whether everything that it has started gets that signal, too; by default it is for the
    program itself to tell the rest."""
    drains: bool
    """Whether it is asked when the component is to drain, so that it takes no new work and finishes
    what it has. By default it is. With False it goes on until everything that uses the component
    has stopped: for what others need to the end, such as a cache."""
    restart: int | Retry | None
    """How often it is started again within `restart_period` when it ends by itself, and after which
    pauses; by default it is not, and the component crashes."""
    restart_period: float
    """In seconds; 60 by default."""
    success: Collection[int]
    """The exit codes of a good end, when it was asked to stop; 0 by default. To be killed by the
    signal that was sent is one, too."""


def process(
    argv: Words, *, ready: Ready | None = None, **options: Unpack[ProcessOptions]
) -> Process:
    """Make a program a component, for ``add`` and ``build``.

    It has a session of its own and no stdin. What it writes goes to the logger
    ``lifecycle.process.<component>``, line by line.

    Args:
        argv: the program and its arguments; there is no shell.
        ready: when it counts as ready; by default as soon as it runs.
        **options: see :class:`ProcessOptions`.

    Raises:
        DefinitionError: something cannot be used.
        TypeError: an option is unknown.

    """
    return pool(1, argv, ready=ready, **options)


def pool(
    number: int,
    argv: Words | Callable[[int], Words],
    *,
    ready: Ready | Callable[[int], Ready] | None = None,
    **options: Unpack[ProcessOptions],
) -> Process:
    """Make several programs of a kind one component, for ``add`` and ``build``.

    It is ready when all of them are; one that ends is started again by itself (`restart`). Their
    loggers are ``lifecycle.process.<component>.0``, and so on.

    Args:
        number: how many there are.
        argv: the program and its arguments, or a function of 0, 1, 2, … that gives them.
        ready: when one counts as ready, or a function that gives that.
        **options: see :class:`ProcessOptions`.

    Raises:
        DefinitionError: something cannot be used.
        TypeError: an option is unknown.

    """
    given: Any = number
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        problem = f"process.pool takes a number of processes, 1 or more, not {number!r}"
        raise DefinitionError(problem)
    _check(options)
    programs = [
        _program(
            argv(which) if callable(argv) else argv,
            ready(which) if callable(ready) else ready,
            options,
        )
        for which in range(number)
    ]
    return Process(
        programs,
        drains=options.get("drains", True),
        restart=_restart(options.get("restart")),
        restart_period=options.get("restart_period", 60.0),
    )


def _restart(restart: int | Retry | None) -> Retry | None:
    try:
        return Retry.of(restart)
    except SettingsError as error:
        raise SettingsError("restart", error.value, error.expected) from None


def _check(options: ProcessOptions) -> None:
    unknown = [name for name in options if name not in ProcessOptions.__annotations__]
    if unknown:
        message = f"process has no option {unknown[0]!r}"
        raise TypeError(message)
    if sys.platform == "win32":
        problem = "process needs signals and process groups, and so Linux or macOS"
        raise DefinitionError(problem)
    period: Any = options.get("restart_period", 60.0)
    if not Seconds().allows(period):
        problem = f"process: restart_period is {period!r}, but must be {Seconds().expected}"
        raise DefinitionError(problem)
    number: Any = options.get("stop_signal", signal.SIGTERM)
    if not is_signal(number):
        problem = f"process: stop_signal is {number!r}, which is no signal"
        raise DefinitionError(problem)
    for name in ("signal_all", "drains"):
        flag: Any = options.get(name, False)
        if not isinstance(flag, bool):
            problem = f"process: {name} is {flag!r}, but must be True or False"
            raise DefinitionError(problem)
    user: Any = options.get("user")
    if user is not None and (isinstance(user, bool) or not isinstance(user, (str, int))):
        problem = f"process: user is {user!r}, but must be a user's name or number"
        raise DefinitionError(problem)
    cwd: Any = options.get("cwd")
    if cwd is not None and not isinstance(cwd, (str, os.PathLike)):
        problem = f"process: cwd is {cwd!r}, but must be the path of a directory"
        raise DefinitionError(problem)


def _program(argv: object, ready: object, options: ProcessOptions) -> Program:
    env: Any = options.get("env") or {}
    try:
        variables: dict[Any, Any] = dict(env)
    except (TypeError, ValueError):
        variables = {None: None}
    if not all(isinstance(word, str) for item in variables.items() for word in item):
        problem = f"process: env maps names to texts, {env!r} does not"
        raise DefinitionError(problem)
    for name, value in variables.items():
        if not name or "=" in name or "\0" in name + value:
            # Without the value, which may be a secret.
            problem = (
                f"process: env has {name!r}, which cannot be a variable: its name has to be there, "
                "without a `=`, and neither that nor its value can hold a null character"
            )
            raise DefinitionError(problem)
    if ready is not None and not isinstance(ready, Ready):
        problem = (
            f"process: ready is {ready!r}; it takes process.tcp(…), process.line(…), and so on"
        )
        raise DefinitionError(problem)
    cwd = options.get("cwd")
    return Program(
        argv=demand_argv(argv),
        env=variables,
        cwd=None if cwd is None else Path(cwd),
        user=options.get("user"),
        ready=ready or AtOnce(),
        stop_signal=options.get("stop_signal", signal.SIGTERM),
        signal_all=options.get("signal_all", False),
        success=_success(options.get("success", (0,))),
    )


def _success(given: Any) -> frozenset[int]:
    try:
        codes: list[Any] = list(given)
    except TypeError:
        codes = [None]
    if not all(isinstance(code, int) for code in codes):
        problem = f"process: success is {given!r}, but must be exit codes, as in (0, 143)"
        raise DefinitionError(problem)
    return frozenset(codes)
