"""Whether a component behaves under a lifecycle manager: for those who write components."""

from __future__ import annotations

import functools
import inspect
import time
from typing import TYPE_CHECKING, Any, Final

import anyio
import attrs

from lifecycle import Component, Limits, Registry, Settings
from lifecycle.errors import StartError, StopError, one_line, plural
from lifecycle.instruments import HookCall, Instrument
from lifecycle.naming import name_of
from lifecycle.testing import faults
from lifecycle.testing._blocking import Lookout
from lifecycle.testing._cases import Hooks
from lifecycle.testing._living import live
from lifecycle.testing._steps import Step, Stepped
from lifecycle.testing._verify import Silence, installed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from lifecycle.testing._living import LifeUnderTest
    from lifecycle.testing._verify import Backend
    from lifecycle.testing.faults import At

_STEPS: Final = 20


@attrs.frozen
class Conformance:
    """What was tried with a component, and what was found."""

    component: str
    lives: int
    seconds: float
    """How long it took, in real time."""
    found: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it in a line, and what was found below it."""
        first = f"{self.component!r}, {plural(self.lives, 'life', 'lives')}: "
        if not self.found:
            return f"{first}it behaves"
        parts = [f"{number}. {one}" for number, one in enumerate(self.found, 1)]
        return "\n\n".join([f"{first}{plural(len(parts), 'thing')} found", *parts])


class ConformanceError(AssertionError):
    """A component does not behave."""

    def __init__(self, conformance: Conformance) -> None:
        """Tell what was found."""
        super().__init__(str(conformance))
        self.conformance = conformance


def check_component(
    component: Component[Any] | Callable[[], object],
    *,
    registry: Registry | None = None,
    settings: Settings | None = None,
    backends: Sequence[Backend] | None = None,
    blocks_after: float = 0.2,
) -> Conformance:
    """See how a component behaves under a lifecycle manager, in virtual time.

    It is started and stopped, and again; its start fails, and is cancelled, at each of the points
    at which it waits; its drain and its stop are cut off at each of theirs. It must unwind without
    an error of its own, within half a second, by the very cancellation; leave no task, thread or
    async generator; and never keep the event loop to itself.

    Args:
        component: a component of a registry; or a function, declared as by ``Registry.component``
            where it is a generator function, else as by ``Registry.build``.
        registry: where to find what the component requires, if that is not the registry that it was
            declared in; a changed copy, say.
        settings: the numbers; by default ``Settings()``.
        backends: by default asyncio, and trio where it is installed.
        blocks_after: for how many real seconds a hook may run without awaiting.

    Returns:
        What was tried.

    Raises:
        ConformanceError: something was found.
        DefinitionError: what it requires cannot be planned, or it is not in `registry`.

    """
    declared, name = _declared(component, registry)
    began = time.monotonic()
    examiner = _Examiner(declared, name, settings, blocks_after)
    with Silence():
        for backend in backends or installed():
            examiner.examine(backend)
    conformance = Conformance(
        name, examiner.lives, time.monotonic() - began, tuple(dict.fromkeys(examiner.found))
    )
    if conformance.found:
        raise ConformanceError(conformance)
    return conformance


def _declared(
    component: Component[Any] | Callable[[], object], registry: Registry | None
) -> tuple[Registry, str]:
    given: Any = component
    if not isinstance(component, Component):
        fresh = Registry("checked")
        is_generator = inspect.isasyncgenfunction(given) or inspect.isgeneratorfunction(given)
        name = "component" if name_of(given) == "<lambda>" else name_of(given)
        declare: Any = fresh.component if is_generator else fresh.build
        handle: Component[Any] = declare(name=name)(given)
        return fresh, handle.name
    known: Component[Any] = given
    home = Registry.of(known) if registry is None else registry
    part = home.only(known)
    plan = part.plan()  # which says so where it is not in there
    return part, plan.components[plan.index_of[known]].name


class _Examiner:
    def __init__(
        self, registry: Registry, name: str, settings: Settings | None, blocks_after: float
    ) -> None:
        self.lives = 0
        self.found: list[str] = []
        self._plan = registry.plan(settings)
        self._name = name
        self._settings = Settings() if settings is None else settings
        self._blocks_after = blocks_after

    def examine(self, backend: Backend) -> None:
        lookout, hooks = Lookout(self._blocks_after), Hooks()
        with lookout.watching():
            first = self._live(backend, instruments=(hooks, lookout))
        for blocking in lookout.found:
            if blocking.component == self._name:
                self._note(f"its {blocking.hook} blocks the event loop, at\n{blocking.stack}")
        if self._judge(first, "as it is"):
            return  # the rest would only find it again
        if self._judge(self._live(backend), "when it is run a second time"):
            return
        own: dict[At, int] = {
            at: steps for (name, at), steps in hooks.steps.items() if name == self._name
        }
        for at, steps in own.items():
            if at == "stop" and self._name in hooks.spans:
                continue  # it closes scopes that are older than one around it would be
            for step in range(1, min(steps, _STEPS) + 1):
                self._disturb(backend, at, step)
        if self._name in hooks.spans and first.report is not None:
            self._cut_short(backend, first.report.components[self._name].stop_time)

    def _disturb(self, backend: Backend, at: At, step: int) -> None:
        where = f"its {'start' if at == 'run' else at}, at wait {step}"
        cut = Cut(self._name, at, step)
        self._judge_cut(self._live(backend, instruments=(cut,)), where)
        if at in ("start", "run"):
            life = self._live(backend, faults=(faults.fail(self._name, at=at, step=step),))
            self._judge_failure(life, where)

    def _cut_short(self, backend: Backend, took: float | None) -> None:
        """Let the time of its stop run out in the middle; where it takes none, there is no such."""
        if took:
            limits = {**self._settings.limits, self._name: Limits(stop=took / 2)}
            settings = attrs.evolve(self._settings, limits=limits)
            self._judge_cut(self._live(backend, settings=settings), "its stop")

    def _judge_cut(self, life: LifeUnderTest, where: str) -> None:
        """What is cut off has to end by that: at once, without an error of its own."""
        report = life.report
        if report is None:
            self._judge(life, f"{where}, is cancelled")
            return
        swallowed = any(name == self._name for name, _ in life.manners.swallowed)
        if swallowed:
            self._note(f"{where}, swallows its cancellation, and goes on")
        for abandoned in report.abandoned:
            if abandoned.component == self._name:
                stack = abandoned.stack.rstrip()
                self._note(f"{where}, is cancelled, and goes on for too long, at\n{stack}")
        for error in report.errors:
            if isinstance(error, StopError) and error.__cause__ is not None:
                self._note(f"{where}, answers its cancellation with {one_line(error.__cause__)}")
        for thing in life.leftovers:
            self._note(f"{where}, is cancelled: it leaves {thing} behind")

    def _judge_failure(self, life: LifeUnderTest, where: str) -> None:
        """A start that fails has to unwind, and to say what it failed with."""
        for thing in life.leftovers:
            self._note(f"{where}, fails: it leaves {thing} behind")
        errors = life.report.errors if life.report is not None else ()
        for error in errors:
            cause = error.__cause__
            if (
                isinstance(error, StartError)
                and cause is not None
                and not isinstance(cause, faults.InjectedError)
                and isinstance(cause.__context__, faults.InjectedError)
            ):
                self._note(f"{where}, fails: its cleanup fails, too: {one_line(cause)}")

    def _judge(self, life: LifeUnderTest, when: str) -> bool:
        """Note what is wrong with a life to which nothing was done."""
        for what in life.broken_promises:
            self._note(f"{when}: {what}")
        return bool(life.broken_promises)

    def _live(
        self,
        backend: Backend,
        *,
        faults: Sequence[faults.Fault] = (),
        instruments: Sequence[Instrument] = (),
        settings: Settings | None = None,
    ) -> LifeUnderTest:
        self.lives += 1
        return live(
            self._plan,
            settings=self._settings if settings is None else settings,
            backend=backend,
            faults=faults,
            instruments=instruments,
        )

    def _note(self, what: str) -> None:
        self.found.append(what)


class Cut(Instrument):
    """Cancels one hook where it waits."""

    def __init__(self, component: str, at: At, step: int) -> None:
        """Say which, and at which of its waits."""
        self._where = component, at
        self._step = step

    async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Cancel it, where this is the hook."""
        if (call.component, call.hook) != self._where or call.in_thread is not None:
            return await proceed()
        if call.hook in ("start", "run"):
            # The whole start is given up: what the hook has opened may stay open, so that no scope
            # can be put around it.
            return await self._cancelled(
                proceed, functools.partial(call.system.shut_down, "asked by the test")
            )
        with anyio.CancelScope() as scope:
            return await self._cancelled(proceed, scope.cancel)

    async def _cancelled(
        self, proceed: Callable[[], Awaitable[Any]], cancel: Callable[[], object]
    ) -> Any:
        """Cancel it just before that wait, so that it never ends by itself."""

        def at_step(step: Step) -> None:
            if step.number == self._step - 1:
                cancel()

        if self._step == 1:
            cancel()
        return await Stepped(proceed(), at_step)
