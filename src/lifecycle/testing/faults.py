"""What can go wrong with a hook, put there without touching it.

Each function makes a fault of one component; `at` says in which hook: ``"start"``, ``"drain"``,
``"stop"`` or ``"check"``. A service has one call, its ``"run"``: there ``"start"`` is where it
begins, and ``"drain"`` and ``"stop"`` where it goes on once it was asked for that. Any other `at`
is a ValueError.

Faults are given to :func:`lifecycle.testing.running`, or put around any system with
:func:`lifecycle.instruments.instrumented`. A hook that a component does not have cannot fail:
`Fault.hits` says how often it did.
"""

from __future__ import annotations

import asyncio
import functools
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import anyio

from lifecycle import Lifetime
from lifecycle.instruments import HookCall, Instrument
from lifecycle.states import Outcome, State
from lifecycle.testing._steps import Step, Stepped
from lifecycle.testing._stuck import Stuck

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from lifecycle import Component

At: TypeAlias = Literal["start", "run", "drain", "stop", "check"]


_ASKED: Final = {
    "drain": frozenset({State.DRAINING, State.STOPPING}),
    "stop": frozenset({State.STOPPING}),
}


_OF_HOOK: Final[dict[At, tuple[Outcome, ...]]] = {
    "start": (Outcome.START_FAILED,),
    "run": (Outcome.START_FAILED, Outcome.CRASHED, Outcome.INCOMPLETE),
    "drain": (Outcome.INCOMPLETE,),
    "stop": (Outcome.INCOMPLETE,),
    "check": (Outcome.CLEAN, Outcome.INCOMPLETE),
}
"""What becomes of a system in which a hook fails, or is given up."""


_EXITS: Final = (SystemExit, KeyboardInterrupt)
"""Raised by a hook, these ask for a shutdown: that is no failure."""


class InjectedError(Exception):
    """What a fault raises, unless it was given something else."""


class Fault(Instrument):
    """Something that goes wrong with one hook of one component."""

    def __init__(
        self, component: Component[Any] | str, at: At, what: str, outcomes: Sequence[Outcome]
    ) -> None:
        """Made by the functions of this module.

        Args:
            component: whose hook it is; by handle or by full name.
            at: which.
            what: the call that makes it, for reproductions.
            outcomes: those that a system may have in which it strikes.

        """
        self.component = component
        self.at: At = at
        self.outcomes = frozenset(outcomes)
        self.name = _name(component)
        """The full name of the component, as soon as it has struck."""
        self.takes_time = False
        """Whether it uses up what others have to drain and to stop, too."""
        self.hits = 0
        """How often it has struck."""
        self._what = what

    async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Strike, where this is the hook."""
        if not self._concerns(call):
            return await proceed()
        if call.hook == self.at or (call.hook, self.at) == ("run", "start"):
            self._hit(call)
            if call.hook == "run":
                # Ready as soon as it runs, one without a Lifetime crashes, or is cancelled at its
                # turn to stop, which is a clean end.
                self.outcomes |= {*_OF_HOOK["run"], Outcome.CLEAN}
            return await self.strike(call, proceed)
        if call.hook == "run" and self.at in _ASKED:
            return await Stepped(
                proceed(), functools.partial(self._once_asked, call, _ASKED[self.at])
            )
        return await proceed()

    def _once_asked(
        self, call: HookCall, states: frozenset[State], step: Step
    ) -> Awaitable[None] | None:
        """A service has one call: its drain begins where it takes note of being asked to."""
        state = call.system.status().components[call.component].state
        if self.hits or state not in states or not step.may_raise:
            return None
        self._hit(call)
        if self.at == "stop":  # one that is cancelled then may well end by that
            self.outcomes |= {Outcome.CLEAN}
        return self.strike(call, _nothing)

    async def strike(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Call the hook, and let it go wrong."""
        raise NotImplementedError

    def release(self) -> None:
        """The system has closed: let go of what it keeps from ending. On the loop."""

    def _hit(self, call: HookCall) -> None:
        self.hits += 1
        self.name = call.component

    def _concerns(self, call: HookCall) -> bool:
        if isinstance(self.component, str):
            return call.component == self.component
        index = call.system.plan.index_of.get(self.component)
        return index is not None and call.system.plan.components[index].name == call.component

    def __repr__(self) -> str:
        """Show the call that makes it."""
        return self._what


class _Fail(Fault):
    def __init__(  # noqa: PLR0913  what there is to say of a failure
        self,
        component: Component[Any] | str,
        at: At,
        what: str,
        *,
        error: BaseException | None,
        step: int,
        attempts: int | None,
    ) -> None:
        survived = (Outcome.CLEAN, *_OF_HOOK["run"]) if step or attempts is not None else ()
        ends = (Outcome.CLEAN,) if isinstance(error, _EXITS) else _OF_HOOK[at]
        super().__init__(component, at, what, (*ends, *survived))
        self._error = error
        self._step = step
        self._attempts = attempts

    async def strike(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        if self._attempts is not None and call.attempt > self._attempts:
            return await proceed()
        if call.hook == "stop" and not self._step:
            # What the start has opened is to be closed all the same: it fails at its end.
            await proceed()
        if not self._step:
            raise self._made(call)
        return await Stepped(proceed(), functools.partial(self._at_step, call))

    def _at_step(self, call: HookCall, step: Step) -> Awaitable[None] | None:
        fails = step.number == self._step and step.may_raise
        return self._raise(call) if fails else None

    async def _raise(self, call: HookCall) -> None:
        raise self._made(call)

    def _made(self, call: HookCall) -> BaseException:
        if self._error is not None:
            return self._error
        return InjectedError(f"the {call.hook} of {call.component!r} fails")


def fail(
    component: Component[Any] | str,
    *,
    at: At,
    error: BaseException | None = None,
    step: int = 0,
    attempts: int | None = None,
) -> Fault:
    """Let a hook raise.

    Args:
        component: whose.
        at: which hook.
        error: what; by default an :class:`InjectedError`.
        step: where: 0 before anything of the hook has run, and of a stop, when all of it has; else
            at its `step`-th ``await`` that waits, as if what is awaited there had raised it.
        attempts: how many attempts of a start that is retried fail; None: all.

    Raises:
        ValueError: `at` is no hook, or `step` is negative.

    """
    if step < 0:
        message = f"step is {step!r}, but must be 0, or the number of an await, from 1"
        raise ValueError(message)
    more = f", error={error!r}" if error is not None else ""
    more += f", step={step}" if step else ""
    more += f", attempts={attempts}" if attempts is not None else ""
    what = _written("fail", component, at, more)
    return _Fail(component, at, what, error=error, step=step, attempts=attempts)


class _Slow(Fault):
    def __init__(self, component: Component[Any] | str, at: At, what: str, seconds: float) -> None:
        super().__init__(component, at, what, (Outcome.CLEAN, *_OF_HOOK[at]))
        self._seconds = seconds

    async def strike(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        del call
        await anyio.sleep(self._seconds)  # where that is cut off, a stop is called all the same
        return await proceed()


def slow(component: Component[Any] | str, seconds: float, *, at: At) -> Fault:
    """Let a hook take longer.

    Args:
        component: whose.
        seconds: how much longer.
        at: which hook.

    """
    what = _written("slow", component, at, before=f", {seconds:g}")
    return _Slow(component, at, what, seconds)


class _Hang(Fault):
    def __init__(
        self, component: Component[Any] | str, at: At, what: str, *, ignores: bool
    ) -> None:
        super().__init__(component, at, what, _OF_HOOK[at])
        self.takes_time = True
        self._ignores = ignores
        self._stuck = Stuck()
        self._over: anyio.Event | None = None

    async def strike(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        try:
            await self._wait(call)
        finally:
            if call.hook == "stop":
                # What the start has opened is to be closed, or unwound, all the same.
                await proceed()

    async def _wait(self, call: HookCall) -> None:
        if call.in_thread is not None:
            # Sync code cannot be interrupted, whatever it does.
            await call.in_thread(self._stuck.block)
            return
        self._over = anyio.Event()
        if self.at == "drain" and call.hook == "run" and not self._ignores:
            # A service hangs wherever it takes note of the drain, in whichever scope that is: it
            # listens to none but the one that ends its drain.
            with anyio.move_on_after(Lifetime.current().time_left, shield=True):
                await self._over.wait()
        with anyio.CancelScope(shield=self._ignores):
            while not self._over.is_set():
                try:
                    await self._over.wait()
                except anyio.get_cancelled_exc_class():  # noqa: PERF203  that is the point
                    if not self._ignores:
                        raise

    def release(self) -> None:
        self._stuck.release()
        if self._over is not None:
            self._over.set()


def hang(component: Component[Any] | str, *, at: At) -> Fault:
    """Let a hook wait for ever, in place of what it does.

    An async one lets itself be cancelled; a sync one, in its thread, cannot be.

    Args:
        component: whose.
        at: which hook.

    """
    return _Hang(component, at, _written("hang", component, at), ignores=False)


def ignore_cancel(component: Component[Any] | str, *, at: At) -> Fault:
    """Let a hook wait for ever, and ignore every cancellation, until the system has closed.

    Args:
        component: whose.
        at: which hook.

    """
    return _Hang(component, at, _written("ignore_cancel", component, at), ignores=True)


class _Crash(Fault):
    def __init__(
        self,
        component: Component[Any] | str,
        what: str,
        after: float,
        error: BaseException | None,
    ) -> None:
        exits = (Outcome.CLEAN,) if isinstance(error, _EXITS) else ()
        super().__init__(component, "start", what, (Outcome.CRASHED, Outcome.INCOMPLETE, *exits))
        self._after = after
        self._error = error
        self._open: AsyncExitStack | None = None

    async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        if not self._concerns(call) or call.hook not in ("start", "run", "stop"):
            return await proceed()
        if call.hook == "stop":
            return await self._close(proceed)
        if not call.spans:
            message = (
                f"{call.component!r} cannot crash: it is no async generator, service or main, and "
                "so has no task of its own between its hooks"
            )
            raise TypeError(message)
        crash = functools.partial(self._crash, call)
        if call.hook == "run":
            return await self._run(crash, proceed)
        return await self._start(crash, proceed)

    async def _run(
        self, crash: Callable[[], Coroutine[Any, Any, None]], proceed: Callable[[], Awaitable[Any]]
    ) -> Any:
        result: Any = None
        async with anyio.create_task_group() as group:
            group.start_soon(crash, name="lifecycle.testing: a crash")
            result = await proceed()
            group.cancel_scope.cancel()
        return result

    async def _start(
        self, crash: Callable[[], Coroutine[Any, Any, None]], proceed: Callable[[], Awaitable[Any]]
    ) -> Any:
        # Held open from the start to the stop, as a generator may hold a group of its own.
        self._open = AsyncExitStack()
        group = await self._open.enter_async_context(anyio.create_task_group())
        self._open.callback(group.cancel_scope.cancel)
        try:
            result = await proceed()
        except BaseException:
            await self._open.aclose()
            raise
        group.start_soon(crash, name="lifecycle.testing: a crash")
        return result

    async def _close(self, proceed: Callable[[], Awaitable[Any]]) -> Any:
        if self._open is None:
            return await proceed()
        async with self._open:
            return await proceed()

    async def _crash(self, call: HookCall) -> None:
        await anyio.sleep(self._after)
        self._hit(call)
        raise self._error or InjectedError(f"{_name(self.component)!r} crashes")


def crash(
    component: Component[Any] | str, *, after: float = 0.0, error: BaseException | None = None
) -> Fault:
    """Let a component end by itself while it is ready, as by a crash of a background task.

    Args:
        component: which: an async generator, a service or a main. Others have no task that could
            crash; of an object that is an async context manager, one could only be known once it is
            made.
        after: how many seconds after its start hook has ended; of a service, after its call. Where
            the component has ended by then, nothing crashes.
        error: what with; by default an :class:`InjectedError`.

    Raises:
        TypeError: within the start, it has no such task.
        SystemExit, KeyboardInterrupt: out of the life under test, if that is `error`, on asyncio:
            in a task that is no hook's each of them ends the event loop, as it would in a program.

    """
    more = f", after={after:g}" if after else ""
    more += f", error={error!r}" if error is not None else ""
    return _Crash(component, f"faults.crash({_name(component)!r}{more})", after, error)


class _Leak(Fault):
    def __init__(self, component: Component[Any] | str, at: At, what: str) -> None:
        super().__init__(component, at, what, (Outcome.CLEAN,))
        self._leaked: asyncio.Task[None] | None = None

    async def strike(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        name = f"leaked by the {self.at} of {call.component}"
        if _on_trio():
            import trio  # noqa: PLC0415  an extra; it runs, so it is there

            trio.lowlevel.spawn_system_task(trio.sleep_forever, name=name)
        else:
            self._leaked = asyncio.create_task(_sleep_forever(), name=name)
        return await proceed()


def leak_task(component: Component[Any] | str, *, at: At) -> Fault:
    """Let a hook leave a task behind, that nobody waits for or cancels.

    Args:
        component: whose.
        at: which hook.

    """
    return _Leak(component, at, _written("leak_task", component, at))


async def _nothing() -> None:
    pass


async def _sleep_forever() -> None:
    await anyio.sleep_forever()


def _on_trio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def _name(component: Component[Any] | str) -> str:
    return component if isinstance(component, str) else component.name


def _written(
    kind: str, component: Component[Any] | str, at: At, more: str = "", *, before: str = ""
) -> str:
    """The call that makes it, as it is written; refuses what is no hook."""
    if at not in get_args(At):
        message = f"at is {at!r}, but must be one of {', '.join(map(repr, get_args(At)))}"
        raise ValueError(message)
    return f"faults.{kind}({_name(component)!r}{before}, at={at!r}{more})"
