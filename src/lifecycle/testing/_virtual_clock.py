"""trio in virtual time.

A clock, in the sense of `trio.abc.Clock`, that is its own instrument. trio asks the clock how long
to sleep only where nothing can run. Before time jumps, trio gets to look at everything else that
could make something run: the clock asks for a long sleep, and wakes trio from it at once. By then
trio has looked for I/O that is ready; and where a task is in `wait_all_tasks_blocked`, the sleep
that trio announces is a shorter one, and the clock lets it be.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import sys
import time
from typing import TYPE_CHECKING

import trio
import trio.testing

from lifecycle.testing import _stacks
from lifecycle.testing._workers import ORIGIN, Origin, put_into

if TYPE_CHECKING:
    from trio.lowlevel import Task, TrioToken

    from lifecycle.testing._timeline import Timeline

_LONG = 3600.0
"""What the clock asks for when it wants trio to look for what is ready."""


_TO_THREAD = trio.to_thread.run_sync.__code__
_RESCHEDULED = trio.lowlevel.wait_task_rescheduled.__code__
_WAITING = ("tasks_waiting_read", "tasks_waiting_write", "tasks_waiting")
"""What trio calls the number of those that wait for I/O, on the various platforms."""
_WRECKED: list[list[Task]] = []
"""The tasks of runs that could not be ended in order. They are kept, since whoever collects them as
garbage closes them: outside of trio, which complains of each."""


class VirtualClock(trio.abc.Clock, trio.abc.Instrument):
    """A clock that jumps to the next deadline when there is nothing else to do."""

    def __init__(self, timeline: Timeline) -> None:
        """Begin at 0, with each run."""
        self.is_hosted = False
        """Whether trio is the guest of another loop, to which nothing can be raised from here."""
        self.timeline = timeline
        self._tasks: dict[Task, Origin] = {}
        self._asked: dict[Task, Origin] = {}
        self._messenger: Task | None = None

    # --- the clock -----------------------------------------------------------------------------

    def start_clock(self) -> None:
        """Begin at 0: a run begins."""
        self._token: TrioToken = trio.lowlevel.current_trio_token()
        self._tasks.clear()
        self._asked.clear()
        self._messenger = None
        self.steps = 0
        self._looks = False
        self._goes_round = False
        self._looked_after = -1
        self._is_held = False
        self._is_changed = False
        self._quiet_after = -1
        self._quiet_since = 0.0
        self.timeline.begin(self._wake)
        self.timeline.workers.pool = self
        trio.lowlevel.add_instrument(self)
        self._token.run_sync_soon(self._meet)

    def current_time(self) -> float:
        """The virtual time, in seconds; trio asks in every turn, and so do tasks."""
        if self._goes_round and not trio.lowlevel.in_trio_task():  # nothing is raised into a task
            self._goes_round = False
            self._stalled()
        return self.timeline.now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """For how many real seconds to sleep; trio asks when nothing can run."""
        self.timeline.rest()
        if deadline <= self.timeline.now:
            return 0
        if self._looked_after != self.steps or self._is_changed:
            return self._look()
        if self._is_held:
            return self._wait()
        if self.timeline.move(deadline):
            return 0
        gives_up = self.timeline.is_spent or self._is_alone()
        return self._stalled() if gives_up else self._wait()

    def _look(self) -> float:
        """Let trio look for what is ready, without waiting for it."""
        if self._quiet_after != self.steps:
            self._quiet_after, self._quiet_since = self.steps, time.monotonic()
        self._looks = True
        self._is_changed = False
        self._is_held = self.timeline.is_held
        return _LONG

    def _wait(self) -> float:
        """Let trio wait for what may come from outside."""
        left = self._quiet_since + self.timeline.patience - time.monotonic()
        if left <= 0:
            return self._stalled()
        self._looked_after = -1
        return left

    def _stalled(self) -> float:
        give_up = self.timeline.stall(self.waits())
        if give_up is not None:
            self._token.run_sync_soon(give_up)
            return 0
        assert self.timeline.stalled is not None  # noqa: S101  that is what `stall` does
        if not self.is_hosted:
            _WRECKED.append(list(self._tasks))
            raise self.timeline.stalled
        sys.stderr.write(f"{self.timeline.stalled}\n")
        return math.inf

    def _is_alone(self) -> bool:
        """Whether nobody else is there who could end a wait."""
        waiting = trio.lowlevel.current_statistics().io_statistics
        number = sum(getattr(waiting, name, 0) for name in _WAITING)
        return self.timeline.is_alone and number == 1  # that is trio's own

    def _wake(self) -> None:
        self._is_changed = True
        with contextlib.suppress(trio.RunFinishedError):
            self._token.run_sync_soon(_do_nothing)

    # --- the instrument ------------------------------------------------------------------------

    def before_io_wait(self, timeout: float) -> None:
        """Be told for how long trio will sleep now, in each turn."""
        self._goes_round = self.timeline.goes_round()
        looks, self._looks = self._looks, False
        if looks and timeout == _LONG:  # less: somebody is in `wait_all_tasks_blocked`
            steps = self.steps
            self._token.run_sync_soon(self._looked, steps)

    def _meet(self) -> None:
        self._messenger = trio.lowlevel.current_task()

    def _looked(self, steps: int) -> None:
        self._looked_after = steps

    def before_task_step(self, task: Task) -> None:
        """Be told that a task runs."""
        if task is not self._messenger:
            self.steps += 1
        if self.timeline.workers.is_blocked(self._tasks.get(task)):
            # It waits no longer for that thread; another one must not be taken for it.
            self._tasks[task] = origin = Origin(self.timeline)
            put_into(task.context, origin)

    def task_spawned(self, task: Task) -> None:
        """Give a task a context that tells whose threads are its own."""
        client, nursery = task.context.get(ORIGIN), task.parent_nursery
        is_systems = nursery and nursery.parent_task is trio.lowlevel.current_root_task()
        if client is not None and is_systems:
            self._asked[task] = client  # by a thread, of which it has the context
        self._tasks[task] = origin = Origin(self.timeline)
        put_into(task.context, origin)

    def task_exited(self, task: Task) -> None:
        """Forget it."""
        self._tasks.pop(task, None)
        self._asked.pop(task, None)

    # --- who waits -----------------------------------------------------------------------------

    def waits(self) -> list[_stacks.Wait]:
        """Who waits where, trio's own tasks excepted."""
        return [
            _stacks.wait(task.name, task.coro)
            for task in self._tasks
            if task is not self._messenger and task.parent_nursery is not None
        ]

    def waited_for(self) -> list[Origin]:
        """Those that wait for a thread of trio's, which does not wait for them in turn."""
        if not trio.testing.active_thread_count():
            return []
        return [origin for task, origin in self._tasks.items() if _waits_for_thread(task)]

    def asks(self, origin: Origin) -> bool:
        """Whether a thread has asked for a system task that runs.

        What a thread of trio's asks for otherwise runs in the task that waits for the thread.
        """
        return origin in self._asked.values()


def _waits_for_thread(task: Task) -> bool:
    """Whether a thread is what it waits for: neither a limiter, nor what the thread asked for."""
    codes = [frame.f_code for frame in _stacks.frames(task.coro)]
    return (_TO_THREAD, _RESCHEDULED) in itertools.pairwise(codes)


def _do_nothing() -> None:
    pass
