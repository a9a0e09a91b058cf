"""Whole systems at random, in which anything may fail, hang, ignore its cancellation, or crash.

Whatever happens, in the end:

* all is over, within the grace period of whatever asked for it first;
* what became ready was stopped exactly once, and nothing else was; dependents before dependencies;
* nothing was stopped while something drained;
* each event that something begins is followed by one that it has ended;
* exactly one error was raised, the first of the report, and it carries the report;
* the outcome is clean if, and only if, there is no error.
"""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING, Any, Literal

import anyio
import attrs
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from lifecycle import Lifetime, Registry, Settings, System, events, running
from lifecycle.errors import ClosedError, RunError, WorkCancelledError
from tests.engine.kit import BACKENDS, Life
from tests.engine.parts import companion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from lifecycle import Report

SLACK = 0.02
FORCED = 0.5 + 0.5 + 2 + 0.5 + 1
"""How long a forced end takes at most: work, drains, stops, those that ignore it, companions."""


@attrs.frozen
class Act:
    """What a hook does."""

    how: Literal["ends", "fails", "hangs", "ignores", "unwinds"]
    takes: float

    async def play(self) -> None:
        """Do it."""
        if self.how == "ignores":
            with anyio.CancelScope(shield=True):
                await anyio.sleep(self.takes)
            return
        try:
            await (anyio.sleep_forever() if self.how == "hangs" else anyio.sleep(self.takes))
            if self.how == "unwinds":
                await anyio.sleep_forever()
        finally:
            if self.how == "unwinds":
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.3)
        if self.how == "fails":
            message = "a hook failed"
            raise ValueError(message)


@attrs.frozen
class Part:
    """One component, and what becomes of it."""

    kind: Literal["generator", "object", "service", "thread"]
    start: Act
    drain: Act | None
    stop: Act
    crash_at: float | None
    work: Act | None
    optional: bool
    requires: frozenset[int]
    wants: frozenset[int]
    options: dict[str, float]


@attrs.frozen
class Script:
    """A whole run."""

    parts: tuple[Part, ...]
    body: Literal["ends", "waits", "raises", "works", "ignores"]
    body_takes: float
    asked_at: float | None
    cancelled_at: float | None
    forced_at: float | None
    settings: dict[str, Any]
    companions: int


def acts(*how: str) -> st.SearchStrategy[Act]:
    """Draw what a hook does; most of the time what it should."""
    return st.builds(
        Act,
        how=st.sampled_from(["ends"] * 4 + list(how)),
        takes=st.sampled_from([0.0, 0.5, 1.0, 3.0, 12.0]),
    )


ANY = ("fails", "hangs", "ignores", "unwinds")
SOON = st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0, 9.0])


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    """Draw a run of up to five components."""
    parts: list[Part] = []
    for index in range(draw(st.integers(1, 5))):
        others = st.sets(st.integers(0, index - 1), max_size=2) if index else st.just(set())
        optional = draw(st.booleans())
        requires = {d for d in draw(others) if optional or not parts[d].optional}
        parts.append(
            Part(
                kind=draw(
                    st.sampled_from(["generator", "generator", "object", "service", "thread"])
                ),
                start=draw(acts(*ANY)),
                drain=draw(st.none() | acts(*ANY)),
                stop=draw(acts(*ANY)),
                crash_at=draw(st.none() | st.none() | SOON),
                work=draw(st.none() | acts("hangs", "ignores")),
                optional=optional,
                requires=frozenset(requires),
                wants=frozenset(draw(others)) - requires,
                options=draw(
                    st.fixed_dictionaries(
                        {},
                        optional={
                            "start_timeout": st.sampled_from([0.5, 2.0, 5.0]),
                            "drain_timeout": st.sampled_from([0.0, 0.5, 2.0, 5.0]),
                            "stop_timeout": st.sampled_from([0.5, 2.0, 5.0, 50.0]),
                        },
                    )
                ),
            )
        )
    body: Any = draw(st.sampled_from(["ends", "waits", "raises", "works", "ignores"]))
    return Script(
        parts=tuple(parts),
        body=body,
        body_takes=draw(SOON),
        asked_at=draw(SOON if body == "waits" else st.none() | SOON),
        cancelled_at=draw(st.none() | st.none() | SOON),
        forced_at=draw(st.none() | st.none() | st.none() | SOON),
        settings={
            "grace_period": draw(st.sampled_from([6.0, 10.0, 20.0])),
            "drain_delay": draw(st.sampled_from([0.0, 0.0, 1.0])),
            "drain_timeout": draw(st.sampled_from([None, None, 1.0])),
            "start_timeout": 7.0,
            "stop_timeout": 4.0,
        },
        companions=draw(st.integers(0, 1)),
    )


@attrs.define
class Stage:
    """Where a script is played."""

    life: Life
    script: Script
    told: list[events.Event] = attrs.field(factory=list)
    calls: list[str] = attrs.field(factory=list)
    wrong: list[str] = attrs.field(factory=list)
    systems: list[System] = attrs.field(factory=list)
    handles: list[Any] = attrs.field(factory=list)
    began: float = 0.0

    def registry(self) -> Registry:
        """Declare all of it."""
        shop = Registry("shop")
        for index, part in enumerate(self.script.parts):
            options = {
                "name": f"c{index}",
                "optional": part.optional,
                "requires": [f"c{d}" for d in sorted(part.requires)],
                "wants": [f"c{d}" for d in sorted(part.wants)],
                **part.options,
            }
            self.handles.append(getattr(self, f"_{part.kind}")(shop, index, part, options))
        return shop

    async def play(self, index: int, hook: str, act: Act) -> None:
        """Play one hook."""
        self.calls.append(f"{hook} {index}")
        system = Lifetime.current().system
        self.systems.append(system)
        if hook == "stop" and not self._given_up(index):
            for other in self.script.parts[index].requires:
                state = str(system.status().components[f"c{other}"].state)
                if state in {"stopping", "stopped"}:
                    self.wrong.append(f"c{other} was {state} in the stop of c{index}")
        await act.play()

    def _given_up(self, index: int) -> bool:
        return any(
            isinstance(event, events.HookAbandoned) and event.component == f"c{index}"
            for event in self.told
        )

    def _generator(self, shop: Registry, index: int, part: Part, options: Any) -> Any:
        async def function() -> AsyncIterator[int]:
            await self.play(index, "start", part.start)
            if part.crash_at is None and part.work is None:
                yield index
                await self.play(index, "stop", part.stop)
                return
            try:
                async with anyio.create_task_group() as group:
                    if part.work is not None:
                        group.start_soon(self._work, index, part.work)
                    if part.crash_at is not None:
                        group.start_soon(self._crash, part.crash_at)
                    yield index
                    group.cancel_scope.cancel()
            finally:
                with anyio.CancelScope():
                    await self.play(index, "stop", part.stop)

        component = shop.component(function, **options)
        if part.drain is not None:
            drain = part.drain

            @component.drain
            async def _(_: int) -> None:
                await self.play(index, "drain", drain)

        return component

    async def _work(self, index: int, act: Act) -> None:
        try:
            with Lifetime.current().hold(f"work {index}"):
                await act.play()
        except (WorkCancelledError, ClosedError):
            return

    async def _crash(self, seconds: float) -> None:
        await anyio.sleep(seconds)
        message = "crash"
        raise ValueError(message)

    def _object(self, shop: Registry, index: int, part: Part, options: Any) -> Any:
        stage = self

        class Thing:
            async def start(self) -> None:
                await stage.play(index, "start", part.start)

            async def stop(self) -> None:
                await stage.play(index, "stop", part.stop)

        hooks: dict[str, Any] = {}
        thing = Thing()
        if part.drain is not None:
            drain = part.drain

            async def hook() -> None:
                await stage.play(index, "drain", drain)

            vars(thing)["drain"] = hook
        return shop.add(thing, **hooks, **options)

    def _service(self, shop: Registry, index: int, part: Part, options: Any) -> Any:
        async def run(own: Lifetime) -> None:
            await self.play(index, "start", part.start)
            own.started()
            with anyio.move_on_after(part.crash_at if part.crash_at is not None else float("inf")):
                if part.work is not None:
                    await self._work(index, part.work)
                await own.wait_draining()
            if not own.draining:
                message = "crash"
                raise ValueError(message)
            if part.drain is not None:
                await self.play(index, "drain", part.drain)
            if part.stop.how != "ends":
                await own.wait_stopping()
                await self.play(index, "stop", part.stop)

        return shop.service(run, **options)

    def _thread(self, shop: Registry, index: int, part: Part, options: Any) -> Any:
        stage = self

        def act(hook: str, what: Act) -> None:
            stage.calls.append(f"{hook} {index}")
            if what.how == "fails":
                message = "a hook failed"
                raise ValueError(message)

        class Thing:
            def start(self) -> None:
                act("start", part.start)

            def drain(self) -> None:
                act("drain", part.drain or part.stop)

            def stop(self) -> None:
                act("stop", part.stop)

        return shop.add(Thing(), **options)

    # --- the run -------------------------------------------------------------------------------

    async def body(self, system: System) -> None:
        """Be the body."""
        script = self.script
        if script.body == "waits":
            await system.closed()
        elif script.body == "ignores":
            with anyio.CancelScope(shield=True):
                await anyio.sleep(script.body_takes)
        elif script.body == "works":
            with system.hold("the body's"):
                await anyio.sleep(script.body_takes * 3)
        else:
            await anyio.sleep(script.body_takes)
            if script.body == "raises":
                raise KeyError

    async def run(self) -> tuple[Report | None, BaseException | None, bool]:
        """Run all of it; returns report, error, and whether a cancellation went on."""
        script, error, cancelled = self.script, None, True
        self.began = anyio.current_time()
        shop = self.registry()
        companions = [companion(self.life)] * script.companions
        async with anyio.create_task_group() as group:
            if script.forced_at is not None:
                group.start_soon(self._force, script.forced_at)
            if script.asked_at is not None:
                group.start_soon(self._ask, script.asked_at)
            limit = float("inf") if script.cancelled_at is None else script.cancelled_at
            with anyio.move_on_after(limit):
                try:
                    async with running(
                        shop,
                        Settings(**script.settings),
                        companions=companions,
                        observers=[self.told.append],
                    ) as system:
                        self.systems.append(system)
                        await self.body(system)
                    cancelled = False
                except anyio.get_cancelled_exc_class():
                    raise
                except Exception as raised:  # noqa: BLE001  looked at below
                    error, cancelled = raised, False
            group.cancel_scope.cancel()
        report = self.systems[-1].report if self.systems else getattr(error, "report", None)
        return report, error, cancelled

    async def _ask(self, seconds: float) -> None:
        await anyio.sleep(seconds)
        (await self._system()).shut_down("asked")

    async def _force(self, seconds: float) -> None:
        await anyio.sleep(seconds)
        system = await self._system()
        system.signal(signal.SIGINT)
        await anyio.sleep(0.2)
        system.signal(signal.SIGINT)

    async def _system(self) -> System:
        while not self.systems:  # noqa: ASYNC110  time is virtual, and nobody could set an event
            await anyio.sleep(0.1)
        return self.systems[-1]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Log nothing of the many lives, and leave the log as it was."""
    logger = logging.getLogger("lifecycle")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[*HealthCheck],  # pyright: ignore[reportArgumentType]
)
@given(script=scripts())
def test_anything(backend: str, script: Script) -> None:
    """Whatever happens, the promises at the head of this module are kept."""
    stage = Stage(Life(backend), script)

    report, error, cancelled = stage.life.run(stage.run)

    assert [] == stage.wrong
    if not stage.told:
        assert cancelled  # before it was entered
        return
    look_at_time(stage)
    look_at_events(stage)
    look_at_order(stage)
    look_at_calls(stage)
    if report is None:
        assert cancelled  # before anybody had a system to ask
    else:
        event(str(report.outcome))
        look_at_errors(report, error)


def look_at_time(stage: Stage) -> None:
    """All is over within the grace period, and what follows is nobody's to wait for."""
    asked = [one.at for one in stage.told if isinstance(one, events.ShutdownRequested)]
    closed = [one.at for one in stage.told if isinstance(one, events.Closed)]
    assert 1 == len(asked) == len(closed)
    assert closed[0] - asked[0] <= stage.script.settings["grace_period"] + SLACK
    forced = stage.script.forced_at
    if forced is not None and 0 < forced:
        told_at = max(stage.began + forced, asked[0]) + 0.3
        assert closed[0] <= told_at + FORCED + SLACK


def look_at_events(stage: Stage) -> None:
    """What begins has an end; what became ready is stopped, once, and nothing else is."""
    for index in range(len(stage.script.parts)):
        name = f"c{index}"
        of = [one for one in stage.told if getattr(one, "component", None) == name]
        kinds = [type(one).__name__.removeprefix("Component") for one in of]
        ready = sum(isinstance(one, events.ComponentStarted) and one.error is None for one in of)
        assert ready == kinds.count("Stopping") == kinds.count("Stopped") <= 1, (name, kinds)
        assert kinds.count("Draining") == kinds.count("Drained") <= 1, (name, kinds)
        assert kinds.count("Starting") == kinds.count("Started") <= 1, (name, kinds)
        assert 1 == kinds.count("Starting") + kinds.count("Skipped"), (name, kinds)


def look_at_order(stage: Stage) -> None:
    """Dependents end before dependencies, and all that drains before anything stops."""
    place = {(type(e), getattr(e, "component", "")): n for n, e in enumerate(stage.told)}

    def at(kind: type, index: int) -> int | None:
        return place.get((kind, f"c{index}"))

    stops = [n for (kind, _), n in place.items() if kind is events.ComponentStopping]
    drains = [n for (kind, _), n in place.items() if kind is events.ComponentDrained]
    assert not stops or max(drains, default=-1) < min(stops)
    for index, part in enumerate(stage.script.parts):
        for other in part.requires | part.wants:
            for later, earlier in (
                (events.ComponentStopping, events.ComponentStopped),
                (events.ComponentDraining, events.ComponentDrained),
            ):
                used, user = at(later, other), at(earlier, index)
                assert used is None or user is None or user < used, (other, index, later)


def look_at_calls(stage: Stage) -> None:
    """No hook is called twice."""
    assert len(set(stage.calls)) == len(stage.calls), stage.calls


def look_at_errors(report: Report, error: BaseException | None) -> None:
    """One error is raised, the first; clean is what has none."""
    outcome = str(report.outcome)
    assert outcome == "forced" or (outcome == "clean") is not bool(report.errors)
    assert (report.exit_code == 0) is (outcome == "clean")
    assert (report.exit_code == 130) is (outcome == "forced")
    if report.errors:
        first = report.errors[0]
        assert error is first or isinstance(error, KeyError)
        if isinstance(first, RunError):
            assert first.report is report
        notes = [note for note in getattr(error, "__notes__", ()) if note.startswith("also")]
        assert len(notes) >= len(report.errors) - 1
    else:
        assert isinstance(error, KeyError | ClosedError | None)
