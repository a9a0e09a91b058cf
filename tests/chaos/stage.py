"""Plays a script on one of the loops, and tells the story of it."""

from __future__ import annotations

import asyncio
import functools
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

import anyio
import anyio.lowlevel

from lifecycle import Settings, events
from lifecycle._engine.running import Running
from lifecycle.testing import StalledError
from tests.chaos.parts import Actors, InjectedError
from tests.chaos.script import Act, Ask, Companion, Script, Waiter
from tests.chaos.story import BODY, CHECKS, COMPANIONS, Call, Deed, Story, Wait, name_of
from tests.engine.kit import Life

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyio.abc import TaskGroup

    from lifecycle import System
    from lifecycle._engine.engine import Engine
    from lifecycle.testing import Stuck

Loop = Literal["asyncio", "eager", "uvloop", "trio"]

_TURNS = 30
"""How many turns those have who were told at the very end."""
_HOOK_OF: dict[type, tuple[str, ...]] = {
    events.ComponentStarting: ("start",),
    events.ComponentDraining: ("drain",),
    events.ComponentStopping: ("drain", "stop"),
}


def play(script: Script, loop: Loop) -> Story:
    """Play a script; whatever comes of it is in the story."""
    return _Stage(script, loop).play()


class _Stage:
    """Where one script is played."""

    _group: TaskGroup
    _over: anyio.Event
    _outside: anyio.CancelScope
    _is_known: anyio.Event

    def __init__(self, script: Script, loop: Loop) -> None:
        self._script = script
        self._life = Life(loop, seed=None if loop == "uvloop" else script.interleaving)
        self.story = Story(script, self._life.is_real, self._life.now)
        self._on_asyncio = loop != "trio"
        self._actors = Actors(self.story, self._on_asyncio, self._stuck_in)
        self._stuck = {} if self._life.is_real else self._all_stuck()
        self._waiting: set[int] = set()
        self._task: asyncio.Task[Any] | None = None

    def play(self) -> Story:
        """Play it."""
        try:
            self._life.run(self._main)
        except (StalledError, TimeoutError) as stalled:
            self.story.stalled = repr(stalled)
        except AssertionError as left:  # of the kit: tasks and threads of ours
            self.story.leftovers.append(str(left))
        return self.story

    async def _main(self) -> None:
        before = {task.id for task in anyio.get_running_tasks()}
        self._over, self._is_known = anyio.Event(), anyio.Event()
        self._outside = anyio.CancelScope()
        script = self._script
        async with anyio.create_task_group() as self._group:
            self._group.start_soon(self._run)
            for ask in script.asks:
                self._group.start_soon(self._ask, ask)
            for waiter in script.waiters:
                self._group.start_soon(self._wait, waiter)
            if script.cancelled_at is not None:
                self._group.start_soon(self._cancel, script.cancelled_at)
            if script.deadline is not None:
                self._group.start_soon(self._pass_deadline, script.deadline)
            if script.forced_at is not None:
                self._group.start_soon(self._force, script.forced_at)
            await self._over.wait()
            for _ in range(_TURNS):
                await anyio.lowlevel.checkpoint()
            self.story.leftovers += [f"who waits for {name_of(part)}" for part in self._waiting]
            self._group.cancel_scope.cancel()
        after = [task for task in anyio.get_running_tasks() if task.id not in before]
        self.story.leftovers += [task.name or "a task" for task in after]

    # --- the system ----------------------------------------------------------------------------

    async def _run(self) -> None:
        """Run the system: a task of its own, that can be cancelled."""
        self._task = asyncio.current_task() if self._on_asyncio else None
        deadline = self._script.deadline
        limit = float("inf") if deadline is None or self.story.is_real else deadline
        try:
            with self._outside, anyio.move_on_after(limit):
                await self._run_system()
        finally:
            self.story.over_at = self.story.now()
            self.story.over = len(self.story.log)
            self._over.set()

    async def _run_system(self) -> None:
        story, script = self.story, self._script
        registry = self._actors.registry()
        for number, act in enumerate(script.checks):
            registry.preflight(self._check(number, act))
        observers: list[events.Observer] = [self._observe]
        if script.observer_fails:
            observers.append(_fail)
        try:
            settings = _settings(script)
            async with Running(
                registry.plan(settings),
                settings,
                [self._companion(*one) for one in enumerate(script.companions)],
                observers,
                self._know,
            ) as system:
                with story.call(BODY, "body") as body:
                    await self._play_body(body, system)
        except anyio.get_cancelled_exc_class() as error:
            story.error, story.was_cancelled = error, True
            raise
        except BaseException as error:  # noqa: BLE001  the oracle looks at it
            story.error = error
        finally:
            if self._actors.is_known:
                story.report = self._actors.system.report

    def _know(self, engine: Engine) -> None:
        self._actors.know(engine.system)
        self._is_known.set()

    async def _system(self) -> System:
        await self._is_known.wait()
        return self._actors.system

    async def _play_body(self, call: Call, system: System) -> None:
        body = self._script.body
        try:
            if body.how == "waits":
                await system.closed()
            elif body.how == "works":
                with system.hold("the body's"), self.story.call(BODY, "work"):
                    await self._actors.sleep(body.takes * 3)
            else:
                await self._actors.play(call, Act(body.how, body.takes))
        except anyio.get_cancelled_exc_class():
            call.cancelled_at = self.story.now()
            raise

    def _companion(self, number: int, companion: Companion) -> Any:
        @asynccontextmanager
        async def run(system: System) -> AsyncIterator[None]:
            with self.story.call(COMPANIONS + number, "enter") as call:
                await self._actors.play(call, companion.start)
            try:
                yield
            finally:
                with self.story.call(COMPANIONS + number, "leave") as call:
                    await self._actors.play(call, companion.stop)

        run.__name__ = name_of(COMPANIONS + number)
        return run

    def _check(self, number: int, act: Act) -> Callable[[], Any]:
        async def check() -> None:
            with self.story.call(CHECKS + number, "check") as call:
                await self._actors.play(call, act)

        check.__name__ = name_of(CHECKS + number)
        return check

    # --- what happens to it from outside -------------------------------------------------------

    async def _ask(self, ask: Ask) -> None:
        await self._actors.sleep(ask.at)
        system = await self._system()
        if ask.from_thread:
            await self._life.in_thread(functools.partial(self._actors.ask, system, ask.code))
        else:
            self._actors.ask(system, ask.code)

    async def _cancel(self, at: float) -> None:
        await self._actors.sleep(at)
        self.story.write(Deed("cancelled", self.story.now()))
        if self._script.natively and self._task is not None:
            self._task.cancel()
        else:
            self._outside.cancel()

    async def _pass_deadline(self, at: float) -> None:
        await self._actors.sleep(at)
        self.story.write(Deed("cancelled", self.story.now()))
        if self.story.is_real:
            self._outside.cancel()

    async def _force(self, at: float) -> None:
        await self._actors.sleep(at)
        system = await self._system()
        self.story.write(Deed("interrupted", self.story.now()))
        system.signal(signal.SIGINT, ago=0.2 if self.story.is_real else 0.0)
        await self._actors.sleep(0.2)
        if system.report is None:
            self.story.write(Deed("forced", self.story.now()))
        system.signal(signal.SIGINT)

    async def _wait(self, waiter: Waiter) -> None:
        await self._actors.sleep(waiter.at)
        system = await self._system()
        handle = self._actors.handles[waiter.part]
        began, error = self.story.now(), None
        if system.report is None:
            self._waiting.add(waiter.part)
        try:
            await system.ready(handle)
        except Exception as raised:  # noqa: BLE001  the oracle looks at it
            error = raised
        self._waiting.discard(waiter.part)
        self.story.waits.append(Wait(waiter.part, began, self.story.now(), error))

    # --- threads -------------------------------------------------------------------------------

    def _all_stuck(self) -> dict[tuple[int, str], tuple[float, Stuck]]:
        return {
            (index, hook): (act.takes, self._life.stuck())
            for index, part in enumerate(self._script.parts)
            if part.is_sync
            for hook, act in (("start", part.start), ("drain", part.drain), ("stop", part.stop))
            if act is not None and act.takes
        }

    def _stuck_in(self, part: int, hook: str) -> Stuck | None:
        found = self._stuck.get((part, hook))
        return None if found is None else found[1]

    def _observe(self, event: events.Event) -> None:
        self.story.write(event)
        if isinstance(event, events.Closed):
            for _, stuck in self._stuck.values():
                stuck.release()
        for hook in _HOOK_OF.get(type(event), ()):
            key = (int(getattr(event, "component", "")[1:]), hook)
            if key in self._stuck:
                self._group.start_soon(self._release, *self._stuck[key])

    async def _release(self, after: float, stuck: Stuck) -> None:
        await anyio.sleep(after)
        stuck.release()


def _settings(script: Script) -> Settings:
    return Settings(
        grace_period=script.grace_period,
        drain_delay=script.drain_delay,
        drain_timeout=script.drain_timeout,
        startup_timeout=script.startup_timeout,
        start_timeout=script.start_timeout,
        stop_timeout=script.stop_timeout,
    )


def _fail(event: events.Event) -> None:
    message = "an observer failed"
    raise InjectedError(message)
