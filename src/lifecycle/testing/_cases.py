"""What can be done to a registry: every fault of every hook, and a shutdown at every step."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import attrs

from lifecycle import events
from lifecycle.instruments import HookCall, Instrument
from lifecycle.testing import faults
from lifecycle.testing._asks import at_wait
from lifecycle.testing._steps import Step, Stepped
from lifecycle.testing._transcript import describe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from lifecycle.testing._living import LifeUnderTest
    from lifecycle.testing.faults import At, Fault

_SLOWER: Final = 0.1
"""By how many seconds a hook is made slower: what no timeout that makes sense forbids."""
_CRASHES_AFTER: Final = 0.5
"""After how many seconds a component is made to crash: while the system runs."""
_STEPS: Final = 10
"""At how many of the first waits of a hook it is made to fail, or a shutdown is asked for."""


@attrs.frozen
class Case:
    """One thing that is done to a life."""

    fault: Callable[[], Fault] | None = None
    """Makes the fault; each life has its own."""
    shut_down_at: str | None = None
    """The line of the transcript at which a shutdown is asked for, or the wait after it."""

    @property
    def component(self) -> str | None:
        """Whose hook goes wrong, by name."""
        return None if self.fault is None else self.fault().name


class Hooks(Instrument):
    """Notes which hooks are called, and how often each of them waits."""

    def __init__(self) -> None:
        """No hook was called yet."""
        self.steps: dict[tuple[str, At], int] = {}
        self.spans: set[str] = set()
        """Components that may hold a task group open up to their stop."""
        self.can_crash: set[str] = set()
        """Those of which that is known as they start: `faults.crash` opens one of its own there."""

    async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Note a hook."""
        key = (call.component, call.hook)
        self.steps.setdefault(key, 0)
        if call.spans:
            self.spans.add(call.component)
            if call.hook in ("start", "run"):
                self.can_crash.add(call.component)
        if call.in_thread is not None:  # what it waits for cannot be seen from here
            return await proceed()

        def count(step: Step) -> None:
            if step.may_raise:
                self.steps[key] = max(self.steps[key], step.number)

        return await Stepped(proceed(), count)


def cases(life: LifeUnderTest, hooks: Hooks) -> Iterator[Case]:
    """Give everything that can be done, by what was seen in a life that nothing was done to.

    Args:
        life: that life.
        hooks: the hooks that were called in it.

    """
    yield from _shutdowns(life)
    drains = {one.component for one in life.events if isinstance(one, events.ComponentDraining)}
    for (component, hook), steps in hooks.steps.items():
        ats: tuple[At, ...] = (hook,)
        if hook == "run":
            ats = ("start", "drain", "stop") if component in drains else ("start", "stop")
        for at in ats:
            for kind in (faults.fail, faults.hang, faults.ignore_cancel, faults.leak_task):
                yield Case(functools.partial(kind, component, at=at))
            yield Case(functools.partial(faults.slow, component, _SLOWER, at=at))
        for step in range(1, min(steps, _STEPS) + 1):
            yield Case(functools.partial(faults.fail, component, at=hook, step=step))
            if hook in ("start", "run"):
                yield Case(shut_down_at=at_wait(component, step))
    for component in sorted(hooks.can_crash):
        yield Case(functools.partial(faults.crash, component, after=_CRASHES_AFTER))


def _shutdowns(life: LifeUnderTest) -> Iterator[Case]:
    """A shutdown at every step of the start."""
    for line in dict.fromkeys(describe(event) for event in life.events):
        if line == "= running":
            return
        yield Case(shut_down_at=line)
