"""Running the preflight checks: all at once, and every failure is told."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import anyio

from lifecycle import events
from lifecycle._engine import calling
from lifecycle._engine.cancellation import code_of, is_cancellation
from lifecycle._engine.threads import Thread
from lifecycle.errors import PreflightError, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle._engine.engine import Engine


async def run_checks(engine: Engine, checks: Sequence[Any]) -> list[BaseException]:
    """Run all checks; returns the failures, in the order of registration.

    Cancelling `engine.checks` ends them early: that is no failure.
    """
    failures: dict[int, BaseException] = {}
    scope = anyio.CancelScope()

    async def run_one(number: int, check: Any) -> None:
        name = _name_of(check)
        began = engine.loop.now()
        engine.tell(events.CheckStarting, check=name)
        try:
            failure = await _failure_of(engine, name, check)
        except KeyboardInterrupt as interrupt:
            engine.shutdown.interrupted(interrupt, f"the check {name!r}")
            failure = None
        if failure is not None and not scope.cancel_called:
            failures[number] = failure  # what was cut off is told of, and is no failure
        engine.tell(
            events.CheckEnded, check=name, duration=engine.loop.now() - began, error=failure
        )

    if not checks:
        return []
    engine.checks = scope
    with scope:
        async with anyio.create_task_group() as group:
            for number, check in enumerate(checks):
                group.start_soon(run_one, number, check, name=f"lifecycle: check {_name_of(check)}")
    engine.checks = None
    return [failures[number] for number in sorted(failures)]


async def _failure_of(engine: Engine, name: str, check: Any) -> PreflightError | None:
    thread = Thread(f"check {name}", engine.loop, engine.instruments)
    try:
        answer = await calling.call(functools.partial(thread.call, abandon=True), check)
    except PreflightError as error:
        return error
    except SystemExit as error:
        reason = f"it raised SystemExit({error.code!r})"
        failure = PreflightError(name, reason, code_of(error) or None)
        failure.__cause__ = error
        return failure
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever it raises, it did not pass
        if is_cancellation(error) and anyio.current_effective_deadline() == -math.inf:
            raise  # it is ours
        failure = PreflightError(name, one_line(error))
        failure.__cause__ = error
        return failure
    finally:
        thread.end()
    return PreflightError(name, "it returned False") if answer is False else None


def _name_of(check: Any) -> str:
    given = getattr(check, "name", None)
    if isinstance(given, str):
        return given
    if isinstance(check, functools.partial):
        check = check.func
    return getattr(check, "__name__", type(check).__name__)
