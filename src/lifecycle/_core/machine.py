"""The machine: what happened goes in, what is to be done comes out.

It decides the order of everything and does none of it. Its rules:

* It counts down. Each component knows how many others it still waits for, and each fact counts
  down those that waited for it. Nothing is ever searched for again.
* It is the only place that changes a state, and it changes it only along the tables.
* A component that became ready is told to stop exactly once, and never before everything that
  uses it has ended.

Components are known by their index; dependencies have smaller indices than their dependents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle._core.commands import (
    Cancel,
    CancelBody,
    Command,
    CutBody,
    CutDrain,
    CutWork,
    Drain,
    Enter,
    HasDrained,
    Settled,
    Skip,
    Start,
    Stop,
)
from lifecycle._core.transitions import COMPONENT, SYSTEM, Cause, Fact, follow
from lifecycle.states import Phase, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle._core.component import Node

_BEFORE_RUNNING = frozenset({Phase.PREFLIGHT, Phase.STARTING})
_DRAINING = frozenset({Phase.DRAINING, Phase.ROLLING_BACK})


class Machine:
    """One run of a plan, as a matter of pure logic."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        size = len(nodes)
        self.phase = Phase.PREFLIGHT
        self.states: list[State] = [State.PENDING] * size
        self.blame: dict[int, int] = {}
        """For what was skipped: the component that failed and that it requires, however far off."""

        self._optional = [node.optional for node in nodes]
        self._requires = [node.requires for node in nodes]
        self._dependencies = [node.dependencies for node in nodes]
        # What may end at the same time ends in the reverse of the order of start.
        self._from_the_end = range(size - 1, -1, -1)
        self._backwards = [sorted(node.dependencies, reverse=True) for node in nodes]
        self._dependents: list[list[int]] = [[] for _ in range(size)]
        self._required_by: list[list[int]] = [[] for _ in range(size)]
        for node in nodes:
            for dependency in node.dependencies:
                self._dependents[dependency].append(node.index)
            for dependency in dict.fromkeys(node.requires):
                self._required_by[dependency].append(node.index)

        # Start: how many dependencies have not settled (are not ready, failed or skipped yet).
        self._unsettled_of = [len(dependencies) for dependencies in self._dependencies]
        self._unsettled = size
        # Whether a start hook is still running, cancelled or timed out; and whether it became
        # ready, and so must be stopped.
        self._unwinding = bytearray(size)
        self._alive = bytearray(size)

        # Drain: how many dependents have not drained.
        self._undrained_of: list[int] = []
        self._undrained = 0
        self._hook_drained = bytearray(size)
        self._asked_to_drain = bytearray(size)
        self._is_drained = bytearray(size)
        self._cut = bytearray(size)
        self._is_ending = bytearray(size)
        self._hooks_draining = 0
        self._work_of = [0] * size
        self._work = 0
        self._drain_is_over = False
        self._forced = False
        self._body = False
        self._body_in_flight = False
        self._body_is_cut = False
        self._awaits_body = False

        # Stop: how many dependents have not ended.
        self._closing = False
        self._unstopped_of: list[int] = []
        self._unstopped = 0

        self._out: list[Command] = []

    # --- what the engine may ask ---------------------------------------------------------------

    @property
    def closing(self) -> bool:
        """Whether components are being stopped, in a rollback too."""
        return self._closing

    @property
    def drain_is_over(self) -> bool:
        """Whether the time to drain has run out, or was never given."""
        return self._drain_is_over

    @property
    def accepts_work(self) -> bool:
        """Whether work may be taken in: from the start until the end of the drain."""
        return self.phase is not Phase.CLOSED and not self._closing and not self._drain_is_over

    def is_alive(self, component: int) -> bool:
        """Whether it became ready and has not been stopped."""
        return bool(self._alive[component])

    def is_cut(self, component: int) -> bool:
        """Whether its own time to drain has run out."""
        return bool(self._cut[component])

    def unsettled_dependencies(self, component: int) -> list[int]:
        """What a pending component still waits for."""
        waiting = (State.PENDING, State.STARTING)
        return [d for d in self._dependencies[component] if self.states[d] in waiting]

    # --- facts: the start ----------------------------------------------------------------------

    def begin(self) -> list[Command]:
        """The preflight checks passed."""
        self._enter(Cause.BEGIN)
        for component, unsettled in enumerate(self._unsettled_of):
            if not unsettled:
                self._start(component)
        self._check_settled()
        return self._take()

    def preflight_failed(self) -> list[Command]:
        """A preflight check or a companion failed: nothing is started."""
        if self.phase is Phase.PREFLIGHT:
            self._roll_back(Cause.START_FAILED)
        return self._take()

    def started(self, component: int) -> list[Command]:
        """A start hook has ended well; also where its cancellation came too late."""
        self._move(component, Fact.STARTED)
        self._alive[component] = True
        if self._closing:
            self._unwinding[component] = False
            self._stop(component)
        elif self.phase in _DRAINING:
            # Its dependents were never started, so it is nobody's turn but its own.
            self._unwinding[component] = False
            self._undrained += 1
            self._drain(component)
            self._check_close()
        else:
            self._settle(component, ready=True)
        return self._take()

    def start_failed(self, component: int, *, unwinding: bool = False) -> list[Command]:
        """A start hook raised, or has run out of time and, `unwinding`, is being cancelled."""
        shutting_down = self.phase is not Phase.STARTING
        was_unwinding = self._unwinding[component]
        self._move(component, Fact.START_FAILED)
        self._unwinding[component] = unwinding
        if shutting_down:
            if was_unwinding and not unwinding:
                self._release(component)
        elif self._optional[component]:
            self._settle(component, ready=False)
        else:
            self._roll_back(Cause.START_FAILED, failed=component)
        return self._take()

    def unwound(self, component: int) -> list[Command]:
        """A start hook that was cancelled has ended, or was abandoned."""
        self._move(component, Fact.UNWOUND)
        self._unwinding[component] = False
        self._release(component)
        return self._take()

    # --- facts: the run ------------------------------------------------------------------------

    def crashed(self, component: int) -> list[Command]:
        """A component ended by itself. It keeps its resources until its turn to stop."""
        was = self.states[component]
        self._move(component, Fact.CRASHED)
        if was is State.DRAINING and not self._hook_drained[component]:
            self._hook_has_drained(component)
        if not self._optional[component]:
            if self._body:
                self._out.append(CancelBody())
            if self.phase in _BEFORE_RUNNING:
                self._roll_back(Cause.DRAIN, failed=component)
            elif self.phase in (Phase.RUNNING, Phase.DELAYING):
                self._enter(Cause.DRAIN)
                self._awaits_body = self._body
                self._begin_drain()
        return self._take()

    def body_began(self) -> list[Command]:
        """The body of ``running`` begins; it is in flight."""
        self._body = self._body_in_flight = True
        return self._take()

    def body_waits(self) -> list[Command]:
        """The body does nothing but wait for the end, or was cut and is waited for no longer."""
        self._body_in_flight = False
        self._check_close()
        return self._take()

    def body_goes_on(self) -> list[Command]:
        """The body waits no longer: it is in flight again."""
        self._body_in_flight = True
        return self._take()

    def body_given_up(self) -> list[Command]:
        """The body was cancelled after a crash, and goes on: drain without it."""
        if self._awaits_body:
            self._awaits_body = False
            if not self._closing:
                self._drain_leaves()
            self._check_close()
        return self._take()

    def body_ended(self) -> list[Command]:
        """The body has ended."""
        self._body = self._body_in_flight = False
        self._check_close()
        return self.body_given_up()

    def held(self, component: int | None) -> None:
        """A piece of work was taken in."""
        self._work += 1
        if component is not None:
            self._work_of[component] += 1

    def released(self, component: int | None) -> list[Command]:
        """A piece of work has ended, or was written off."""
        self._work -= 1
        if component is not None:
            self._work_of[component] -= 1
            if (
                not self._work_of[component]
                and self._is_draining(component)
                and self._hook_drained[component]
            ):
                self._pass_on([component])
        self._check_close()
        return self._take()

    def work_written_off(self, component: int | None) -> list[Command]:
        """The time that work had to end, after it was cut, is over: of one, or of everyone.

        Hooks are cut only now, and not when the work has ended: the hook that the work was in must
        be able to handle that it was cut.
        """
        if component is None:
            self._cut_hooks()
        elif self._is_draining(component) and not self._hook_drained[component]:
            self._cut_drain(component)
        self._check_close()
        return self._take()

    # --- facts: the shutdown -------------------------------------------------------------------

    def shut_down(self, *, delay: bool) -> list[Command]:
        """Someone asked for it. A second time changes nothing, but may end the delay."""
        if self.phase in _BEFORE_RUNNING:
            self._roll_back(Cause.DRAIN)
        elif self.phase is Phase.RUNNING and delay:
            self._enter(Cause.DELAY)
        elif self.phase in (Phase.RUNNING, Phase.DELAYING) and not delay:
            self._enter(Cause.DRAIN)
            self._begin_drain()
        return self._take()

    def drained(self, component: int) -> list[Command]:
        """A drain hook has ended, in whichever way, or was abandoned."""
        if self._is_draining(component) and not self._hook_drained[component]:
            self._hook_has_drained(component)
        return self._take()

    def drain_timed_out(self, component: int) -> list[Command]:
        """One component has used up its own time to drain."""
        self._cut[component] = True
        if self._work_of[component]:
            self._out.append(CutWork(component))
        elif not self._hook_drained[component]:
            self._cut_drain(component)
        return self._take()

    def drain_over(self) -> list[Command]:
        """The time to drain has run out for all."""
        if self.phase in _DRAINING and not self._closing and not self._drain_is_over:
            self._cut_everything()
        return self._take()

    def force(self) -> list[Command]:
        """No drain any more, whatever is under way; stops follow at once."""
        if self._forced or self.phase is Phase.CLOSED:
            return self._take()
        self._forced = True
        if self.phase in _BEFORE_RUNNING:
            self._roll_back(Cause.DRAIN)
        elif self.phase in (Phase.RUNNING, Phase.DELAYING):
            self._enter(Cause.DRAIN)
            self._begin_drain()
        if not self._closing and not self._drain_is_over:
            self._cut_everything()
        return self._take()

    def stopped(self, component: int) -> list[Command]:
        """A stop hook has ended, in whichever way, or was abandoned."""
        self._move(component, Fact.STOPPED)
        self._alive[component] = False
        self._release(component)
        return self._take()

    def closed(self) -> list[Command]:
        """The companions have ended too."""
        self._enter(Cause.CLOSED)
        return self._take()

    # --- start ---------------------------------------------------------------------------------

    def _start(self, component: int) -> None:
        self._move(component, Fact.START)
        self._out.append(Start(component))

    def _settle(self, component: int, *, ready: bool) -> None:
        settled = [(component, ready)]
        for which, is_ready in settled:  # grows while it is walked: skipping reaches far
            self._unsettled -= 1
            if not is_ready:
                for dependent in self._required_by[which]:
                    if self.states[dependent] is State.PENDING:
                        self._skip(dependent, self.blame.get(which, which))
                        settled.append((dependent, False))
            for dependent in self._dependents[which]:
                self._unsettled_of[dependent] -= 1
                if self._unsettled_of[dependent] or self.states[dependent] is not State.PENDING:
                    continue
                missing = self._failed_requirement(dependent)
                if missing is None:
                    self._start(dependent)
                else:
                    self._skip(dependent, missing)
                    settled.append((dependent, False))
        self._check_settled()

    def _skip_what_requires(self, failed: int) -> None:
        """Skip what cannot be started any more, and remember because of what."""
        unavailable = [failed]
        for which in unavailable:  # grows while it is walked: skipping reaches far
            for dependent in self._required_by[which]:
                if self.states[dependent] is State.PENDING:
                    self._skip(dependent, failed)
                    unavailable.append(dependent)

    def _failed_requirement(self, component: int) -> int | None:
        """What it requires and what was ready, but has crashed since."""
        failed = (r for r in self._requires[component] if self.states[r] is State.FAILED)
        return next(failed, None)

    def _skip(self, component: int, because_of: int | None) -> None:
        self._move(component, Fact.SKIP)
        if because_of is not None:
            self.blame[component] = because_of
        self._out.append(Skip(component, because_of))

    def _check_settled(self) -> None:
        if not self._unsettled and self.phase is Phase.STARTING:
            self._enter(Cause.ALL_SETTLED)

    def _roll_back(self, cause: Cause, failed: int | None = None) -> None:
        """Give the start up: start nothing more, cancel what is starting, drain what is ready."""
        self._enter(cause)
        if failed is not None:
            self._skip_what_requires(failed)
        for component, state in enumerate(self.states):
            if state is State.PENDING:
                self._skip(component, None)
            elif state is State.STARTING:
                self._unwinding[component] = True
                self._out.append(Cancel(component))
        self._begin_drain()

    # --- drain ---------------------------------------------------------------------------------

    def _begin_drain(self) -> None:
        self._undrained_of = self._count_dependents()
        self._undrained = sum(self._alive)
        if not self._forced:
            self._drain_leaves()
        self._check_close()

    def _drain_leaves(self) -> None:
        for component in self._from_the_end:
            if not self._undrained_of[component]:
                self._drain(component)

    def _drain(self, component: int) -> None:
        """Drain a component whose turn has come, and what follows where that takes no time."""
        if self._ask_to_drain(component):
            self._pass_on([component])

    def _ask_to_drain(self, component: int) -> bool:
        """Ask it, unless there is no more time for that; says whether it has drained by that."""
        if (
            not self._alive[component]
            or self._asked_to_drain[component]
            or self._drain_is_over
            or self._awaits_body
        ):
            return False
        crashed = self.states[component] is State.FAILED
        self._move(component, Fact.DRAIN)
        self._asked_to_drain[component] = True
        if not crashed:
            self._hooks_draining += 1
            self._out.append(Drain(component))
            return False
        self._hook_drained[component] = True
        return not self._work_of[component]

    def _hook_has_drained(self, component: int) -> None:
        self._hook_drained[component] = True
        self._hooks_draining -= 1
        if not self._work_of[component]:
            self._pass_on([component])
        self._check_close()

    def _pass_on(self, drained: list[int]) -> None:
        """These have drained: it may be the turn of what they use."""
        for which in drained:  # grows while it is walked: what crashed has no hook to wait for
            self._move(which, Fact.DRAINED)
            self._is_drained[which] = True
            self._out.append(HasDrained(which))
            self._undrained -= 1
            drained.extend(self._let_drain(which))
        self._check_close()

    def _let_drain(self, component: int) -> list[int]:
        """What it uses need not wait for it any longer; returns what has drained by that."""
        drained: list[int] = []
        for dependency in self._backwards[component]:
            self._undrained_of[dependency] -= 1
            if not self._undrained_of[dependency] and self._ask_to_drain(dependency):
                drained.append(dependency)
        return drained

    def _cut_everything(self) -> None:
        self._drain_is_over = True
        self._awaits_body = False
        if self._work:
            self._out.append(CutWork(None))
        else:
            self._cut_hooks()
        self._check_close()

    def _cut_hooks(self) -> None:
        """After the work: now the drain hooks, and the body, which is like one."""
        if self._body_in_flight and not self._body_is_cut:
            self._body_is_cut = True
            self._out.append(CutBody())
        for component, state in enumerate(self.states):
            if state is State.DRAINING and not self._hook_drained[component]:
                self._cut_drain(component)

    def _is_draining(self, component: int) -> bool:
        asked = self._asked_to_drain[component] and not self._is_drained[component]
        return bool(asked) and not self._closing

    def _cut_drain(self, component: int) -> None:
        if not self._is_ending[component]:
            self._is_ending[component] = True
            self._out.append(CutDrain(component))

    def _check_close(self) -> None:
        if self.phase not in _DRAINING or self._closing or self._awaits_body:
            return
        if self._work or self._body_in_flight:
            return
        if self._hooks_draining if self._drain_is_over else self._undrained:
            return
        self._close()

    # --- stop ----------------------------------------------------------------------------------

    def _close(self) -> None:
        self._closing = True
        self._enter(Cause.CLOSE)
        self._unstopped_of = self._count_dependents()
        self._unstopped = sum(self._alive) + sum(self._unwinding)
        for component in self._from_the_end:
            if not self._unstopped_of[component] and self._alive[component]:
                self._stop(component)
        self._check_stopped()

    def _stop(self, component: int) -> None:
        drain = not self._asked_to_drain[component] and not self._forced
        crashed = self.states[component] is State.FAILED
        self._move(component, Fact.STOP)
        self._out.append(Stop(component, drain and not crashed))

    def _release(self, component: int) -> None:
        """A component has ended: whatever it used may go on."""
        if self._closing:
            self._unstopped -= 1
            for dependency in self._backwards[component]:
                self._unstopped_of[dependency] -= 1
                if not self._unstopped_of[dependency] and self._alive[dependency]:
                    self._stop(dependency)
            self._check_stopped()
        elif self.phase in _DRAINING:
            self._pass_on(self._let_drain(component))

    def _check_stopped(self) -> None:
        if not self._unstopped:
            self._out.append(Settled())

    # --- throughout ----------------------------------------------------------------------------

    def _count_dependents(self) -> list[int]:
        """For each component, how many dependents have not ended: are alive, or unwinding."""
        counts = [0] * len(self.states)
        for component, dependencies in enumerate(self._dependencies):
            if self._alive[component] or self._unwinding[component]:
                for dependency in dependencies:
                    counts[dependency] += 1
        return counts

    def _move(self, component: int, fact: Fact) -> None:
        self.states[component] = follow(COMPONENT, self.states[component], fact)

    def _enter(self, cause: Cause) -> None:
        phase = follow(SYSTEM, self.phase, cause)
        if phase is not self.phase:
            self.phase = phase
            self._out.append(Enter(phase))

    def _take(self) -> list[Command]:
        out, self._out = self._out, []
        return out
