"""A legal engine for the machine, as data, and the invariants that it holds the machine to.

The driver keeps a view of its own of what it was told and what it has said. It says only what the
engine may say in that situation, and after each fact it looks at every command that came out and
at what should have come out and did not:

* **order**: nothing starts before everything that it depends on is settled; nothing drains, and
  nothing stops, before everything that depends on it has.
* **promptness**: whatever may start, drain, close, stop or settle does so at once; nothing waits
  for a deadline that nobody needs.
* **once**: each component is started or skipped, once; drained at most once; stopped exactly once
  if it became ready, and never otherwise.
* **nothing leaked**: when all has settled no start unwinds, no hook runs, nothing is in flight.
* **drained before closed**: no stop before every drain hook has ended and nothing is in flight.
* **cut**: when time is over, all that is still waited for was told to end, work before hooks.
* **holds**: a component with work in flight has not drained; work is taken until the drain is over.
* **crash**: what crashed is not asked to drain, and is stopped in its turn. The body is cancelled,
  and the drain begins when it has ended.
* **force**: no drain hook is called any more.
* **states**: the machine's states and phase are those that follow from what was said.
* **an end**: from everywhere there is a way on, until all is closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from lifecycle._core import commands as c
from lifecycle._core.machine import Machine
from lifecycle.states import Phase, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lifecycle._core.commands import Command
    from tests.core.graphs import Graph

T = TypeVar("T")

SYSTEM = -1
"""Who holds what belongs to no component: the last place in `Driver.holds`."""

# How far one component has come, in the driver's view.
IDLE, STARTING, CANCELLED, EXPIRED, READY, GONE, SKIPPED = "-scxrgk"
"""Its start: not begun, runs, was cancelled, ran out of time, ended well, ended otherwise."""
HOOK, ENDED, DRAINED = "hed"
"""Its drain: the hook runs, the hook has ended, all of it is over."""
STOPPING, STOPPED = "sd"

_UNDER_WAY = frozenset({STARTING, CANCELLED, EXPIRED})
_UNSETTLED = frozenset({IDLE, STARTING})
_UNWINDING = frozenset({CANCELLED, EXPIRED})
_DRAINING = frozenset({Phase.DRAINING, Phase.ROLLING_BACK})

# Where the body of `running` stands.
NONE, RUNS, WAITS, OVER = "-bwo"


class BrokenError(AssertionError):
    """The machine broke an invariant."""


def check(holds: object, what: str) -> None:
    """Raise where an invariant does not hold."""
    if not holds:
        raise BrokenError(what)


class Action(NamedTuple):
    """Something that the engine may say now."""

    name: str
    who: int | None
    cost: int
    """1 for what disturbs the peace: how many of these there are in one run is limited."""
    is_due: bool
    """Whether it will come sooner or later by itself."""

    def __str__(self) -> str:
        """Write it as a call."""
        if self.who is None:
            return f"{self.name}()"
        return f"{self.name}({'system' if self.who == SYSTEM else 'abcdefghij'[self.who]})"


class Driver:
    """One machine, and what the engine knows of it."""

    def __init__(self, graph: Graph, *, most: int = 1_000, holds: int = 1) -> None:
        """Begin a run; at most `most` disturbances, at most `holds` at a time for each."""
        self.graph = graph
        self.machine = Machine(graph.nodes())
        self.left = most
        self.most_holds = holds
        size = graph.size
        self.dependencies = graph.dependencies
        self.dependents = [
            [one for one in range(size) if other in self.dependencies[one]] for other in range(size)
        ]
        self.start = [IDLE] * size
        self.failed = [False] * size
        self.drain = [IDLE] * size
        self.stop = [IDLE] * size
        self.drains_in_stop = [False] * size
        self.hook_goes_on = [False] * size
        self.crashed = [False] * size
        self.timed_out = [False] * size
        self.cut_hook = [False] * size
        self.ends_work = [False] * (size + 1)
        self.holds = [0] * (size + 1)
        self.cut_holds = [0] * (size + 1)
        self.phase = Phase.PREFLIGHT
        self.ran = False
        self.asked = False
        self.over = False
        self.forced = False
        self.closing = False
        self.settled = False
        self.body = NONE
        self.body_in_flight = False
        self.body_was_cut = False
        self.body_was_cancelled = False
        self.gave_body_up = False
        self.awaits_body = False
        self.said: tuple[str, ...] = ()

    def clone(self) -> Driver:
        """Copy it, with its machine."""
        twin = _copied(self)
        twin.machine = _copied(self.machine)
        return twin

    def key(self) -> object:
        """What tells this situation from others, the machine's memory included."""
        return (*_memory(self), *_memory(self.machine))

    def tables(self) -> object:
        """What the machine knows of the graph, which never changes and is not copied."""
        return [value for value in vars(self.machine).values() if _is_nested(value)]

    # --- what the engine may say ---------------------------------------------------------------

    def actions(self) -> list[Action]:
        """All that may be said now, and be afforded."""
        found = [Action(*one) for one in self._actions()]
        waits = self.phase in (Phase.RUNNING, Phase.CLOSED)
        check(waits or any(action.is_due for action in found), "there is no way on")
        return [action for action in found if action.cost <= self.left]

    def _actions(self) -> Iterator[tuple[str, int | None, int, bool]]:
        if self.phase is Phase.CLOSED:
            return
        if self.phase is Phase.PREFLIGHT:
            yield "begin", None, 0, True
            yield "preflight_failed", None, 1, False
        for who in range(self.graph.size):
            yield from self._actions_of(who)
        for who in (*range(self.graph.size), SYSTEM):
            if self.holds[who] < self.most_holds and self._takes_work(who):
                yield "held", who, 1, False
            if self.holds[who]:
                yield "released", who, 0, True
            if self.ends_work[who]:
                yield "work_written_off", who, 0, True
        yield from self._actions_of_body()
        yield from self._actions_of_all()

    def _actions_of_all(self) -> Iterator[tuple[str, int | None, int, bool]]:
        yield "shut_down", None, 0, False
        yield "shut_down_with_delay", None, 0, False
        if self.phase is Phase.DELAYING:
            yield "delay_over", None, 0, True
        if self.phase in _DRAINING and not self.closing and not self.over:
            yield "drain_over", None, 1, True
        elif self.over or self.closing:
            yield "drain_over_late", None, 0, False
        if not self.forced:
            yield "force", None, 1, False
        if self.settled:
            yield "closed", None, 0, True

    def _takes_work(self, who: int) -> bool:
        # Whose own time to drain is over takes no more, or its drain would have no end.
        return self.machine.accepts_work and (who == SYSTEM or not self.machine.is_cut(who))

    def _actions_of(self, who: int) -> Iterator[tuple[str, int | None, int, bool]]:
        start = self.start[who]
        if start == STARTING:
            yield "started", who, 0, True
            yield "start_failed", who, 1, False
            yield "start_expired", who, 1, False
            yield "start_asked_for_the_end", who, 1, False
        elif start == CANCELLED:
            yield "started", who, 0, False
            yield "start_failed", who, 1, False  # by a function that asked for the end itself
            yield "unwound", who, 0, True
        elif start == EXPIRED:
            yield "unwound", who, 0, True
        elif start == READY and self.stop[who] != STOPPED:
            if self.drain[who] == HOOK:
                yield "drained", who, 0, True
            if self.hook_goes_on[who]:
                yield "drained_late", who, 0, False
            if (
                self.drain[who] in (HOOK, ENDED)
                and not self.timed_out[who]
                and self.stop[who] == IDLE
            ):
                yield "drain_timed_out", who, 1, False
            if self.stop[who] == STOPPING:
                yield "stopped", who, 0, True
            if not self.crashed[who] and (self.stop[who] == IDLE or self.drains_in_stop[who]):
                yield "crashed", who, 1, False

    def _actions_of_body(self) -> Iterator[tuple[str, int | None, int, bool]]:
        if self.body == NONE and not self.ran:
            yield "body_will_not_begin", None, 1, False
        elif self.body == RUNS:
            yield "body_ended", None, 0, True
            if self.body_in_flight:
                yield "body_waits", None, 0, False
            if self.body_was_cut and self.body_in_flight:
                yield "body_written_off", None, 0, True
            if self.body_was_cancelled and not self.gave_body_up:
                yield "body_given_up", None, 0, True
        elif self.body == WAITS:
            # It wakes when all is closed, which nobody has to wait for here.
            yield "body_ended", None, 0, False
            yield "body_goes_on", None, 0, False

    # --- saying it -----------------------------------------------------------------------------

    def say(self, action: Action) -> None:
        """Say it, and see what comes of it."""
        self.left -= action.cost
        self.said += (str(action),)
        saying: Callable[..., None] = getattr(self, f"_{action.name}")
        if action.who is None:
            saying()
        else:
            saying(action.who)
        self._look()

    def _begin(self) -> None:
        self._obey(self.machine.begin())

    def _preflight_failed(self) -> None:
        self.asked = True
        self._obey(self.machine.preflight_failed())

    def _started(self, who: int) -> None:
        self.start[who] = READY
        self._obey(self.machine.started(who))

    def _start_failed(self, who: int) -> None:
        self.start[who] = GONE
        self.failed[who] = True
        self.asked = self.asked or not self.graph.optional[who]
        self._obey(self.machine.start_failed(who))

    def _start_expired(self, who: int) -> None:
        self.start[who] = EXPIRED
        self.failed[who] = True
        self.asked = self.asked or not self.graph.optional[who]
        self._obey(self.machine.start_failed(who, unwinding=True))

    def _start_asked_for_the_end(self, who: int) -> None:
        self._shut_down()
        self._unwound(who)

    def _unwound(self, who: int) -> None:
        self.start[who] = GONE
        self._obey(self.machine.unwound(who))

    def _crashed(self, who: int) -> None:
        self.crashed[who] = True
        if self.drain[who] == HOOK:
            self.drain[who] = ENDED
            self.hook_goes_on[who] = True
        if not self.graph.optional[who]:
            self.asked = True
            if self.phase in (Phase.RUNNING, Phase.DELAYING) and self._body_is_there():
                self.awaits_body = True
        said = self.machine.crashed(who)
        cancels = self._body_is_there() and not self.graph.optional[who]
        check(cancels is (c.CancelBody() in said), "the body is to be cancelled by a crash")
        self._obey(said)

    def _held(self, who: int) -> None:
        self.holds[who] += 1
        self.machine.held(None if who == SYSTEM else who)

    def _released(self, who: int) -> None:
        self.holds[who] -= 1
        self.cut_holds[who] = max(0, self.cut_holds[who] - 1)
        self._obey(self.machine.released(None if who == SYSTEM else who))

    def _work_written_off(self, who: int) -> None:
        """The time of what was cut is over: of one component, or, `SYSTEM`, of everyone."""
        self.ends_work[who] = False
        for owner in (*range(self.graph.size), SYSTEM):
            while self.cut_holds[owner]:
                self._released(owner)
        self._obey(self.machine.work_written_off(None if who == SYSTEM else who))

    def _drained(self, who: int) -> None:
        self.drain[who] = ENDED
        self._obey(self.machine.drained(who))

    def _drained_late(self, who: int) -> None:
        # The hook of what has crashed meanwhile: it is waited for no longer.
        self.hook_goes_on[who] = False
        self._obey(self.machine.drained(who))

    def _drain_timed_out(self, who: int) -> None:
        self.timed_out[who] = True
        self._obey(self.machine.drain_timed_out(who))

    def _stopped(self, who: int) -> None:
        self.stop[who] = STOPPED
        self._obey(self.machine.stopped(who))

    def _shut_down(self) -> None:
        self.asked = True
        self._obey(self.machine.shut_down(delay=False))
        check(self.phase not in (Phase.RUNNING, Phase.DELAYING), "nobody asked for a delay")

    _delay_over = _shut_down

    def _shut_down_with_delay(self) -> None:
        self.asked = True
        was = self.phase
        self._obey(self.machine.shut_down(delay=True))
        delays = was in (Phase.RUNNING, Phase.DELAYING)
        check((self.phase is Phase.DELAYING) is delays, "a delay is for what runs")

    def _drain_over(self) -> None:
        self.over = True
        self.awaits_body = False
        self._obey(self.machine.drain_over())

    def _drain_over_late(self) -> None:
        check(self.machine.drain_over() == [], "there is nothing left to cut")

    def _force(self) -> None:
        self.asked = self.forced = True
        self.over = self.over or not self.closing
        self.awaits_body = False
        self._obey(self.machine.force())

    def _closed(self) -> None:
        self._obey(self.machine.closed())
        check(self.phase is Phase.CLOSED, "closed, and still not")

    def _body_begins(self) -> None:
        self.body = RUNS
        self.body_in_flight = True
        self._obey(self.machine.body_began())

    def _body_will_not_begin(self) -> None:
        self.body = OVER
        self._obey(self.machine.body_ended())
        self._shut_down()

    def _body_ended(self) -> None:
        self.body = OVER
        self.body_in_flight = False
        self.awaits_body = False
        self._obey(self.machine.body_ended())
        self._shut_down()

    def _body_written_off(self) -> None:
        self.body_in_flight = False
        self._obey(self.machine.body_waits())

    def _body_waits(self) -> None:
        self.body = WAITS
        self._body_written_off()

    def _body_goes_on(self) -> None:
        self.body = RUNS
        if self.machine.accepts_work:
            self.body_in_flight = True
            self._obey(self.machine.body_goes_on())

    def _body_given_up(self) -> None:
        self.gave_body_up = True
        self.awaits_body = False
        self._obey(self.machine.body_given_up())

    # --- what comes out ------------------------------------------------------------------------

    def _obey(self, commands: Sequence[Command]) -> None:
        for command in commands:
            check(not self.settled or command == c.Enter(Phase.CLOSED), f"{command} after the end")
            getattr(self, f"_on_{type(command).__name__}")(command)
        for command in commands:
            if isinstance(command, c.CancelBody):
                self._cancel_body()
            elif command == c.Enter(Phase.RUNNING) and self.body == NONE:
                self._body_begins()

    def _on_Start(self, command: c.Start) -> None:  # noqa: N802  the name of the command
        who = command.component
        check(self.start[who] == IDLE, f"{command} twice, or after a skip")
        check(self.phase is Phase.STARTING, f"{command} in {self.phase}")
        for other in self.dependencies[who]:
            check(self.start[other] not in _UNSETTLED, f"{command} before {other} was settled")
        for other in self.graph.requires[who]:
            ready = self.start[other] == READY and not self.crashed[other]
            check(ready, f"{command} without {other}")
        self.start[who] = STARTING

    def _on_Skip(self, command: c.Skip) -> None:  # noqa: N802
        who, because_of = command
        check(self.start[who] == IDLE, f"{command} twice, or after a start")
        if because_of is None:
            check(self.asked, f"{command}, but nothing was given up")
            lost = [d for d in self.graph.requires[who] if self._ended_it_all(d)]
            check(not lost, f"{command}, and not because of {lost}")
        else:
            failed = self.failed[because_of] or self.crashed[because_of]
            check(failed, f"{command}, which has not failed")
            check(
                because_of in self.graph.requires[who]
                or any(
                    self.machine.blame.get(other) == because_of
                    for other in self.graph.requires[who]
                ),
                f"{command}, which it does not require",
            )
        self.start[who] = SKIPPED

    def _ended_it_all(self, who: int) -> bool:
        """Whether it failed, or crashed and is not optional: others know whom to blame."""
        return self.failed[who] or (self.crashed[who] and not self.graph.optional[who])

    def _on_Cancel(self, command: c.Cancel) -> None:  # noqa: N802
        check(self.start[command.component] == STARTING, f"{command}: it is not starting")
        check(self.asked, f"{command}, but nothing was given up")
        self.start[command.component] = CANCELLED

    def _on_Drain(self, command: c.Drain) -> None:  # noqa: N802
        who = command.component
        check(self.start[who] == READY, f"{command}: it is not ready")
        check(self.drain[who] == IDLE, f"{command} twice")
        check(not self.crashed[who], f"{command} after a crash")
        self._check_drain_time(command)
        self._check_dependents_drained(who, command)
        self.drain[who] = HOOK

    def _on_HasDrained(self, command: c.HasDrained) -> None:  # noqa: N802
        who = command.component
        check(self.start[who] == READY, f"{command}: it was never ready")
        if self.drain[who] == IDLE:
            # Its turn came in silence, and maybe before the time for that was over.
            check(self.crashed[who], f"{command}, and was not asked to")
            self._check_dependents_drained(who, command)
        else:
            check(self.drain[who] == ENDED, f"{command}, and its hook runs, or twice")
        check(not self.holds[who], f"{command} with work in flight")
        self.drain[who] = DRAINED

    def _check_drain_time(self, command: Command) -> None:
        check(self.phase in _DRAINING and not self.closing, f"{command} in {self.phase}")
        check(not self.over, f"{command} when the time for that is over")
        check(not self.awaits_body, f"{command} before the body has ended")

    def _check_dependents_drained(self, who: int, command: Command) -> None:
        for other in self.dependents[who]:
            check(self.start[other] not in _UNDER_WAY, f"{command} while {other} is starting")
            ready = self.start[other] == READY
            check(not ready or self.drain[other] == DRAINED, f"{command} before {other}")

    def _on_CutWork(self, command: c.CutWork) -> None:  # noqa: N802
        who = command.component
        if who is None:
            check(self.over, f"{command} while there is time")
            check(any(self.holds), f"{command} of nothing")
            self.cut_holds = self.holds.copy()
            self.ends_work[SYSTEM] = True
        else:
            check(self.timed_out[who], f"{command} while there is time")
            check(self.holds[who], f"{command} of nothing")
            self.cut_holds[who] = self.holds[who]
            self.ends_work[who] = True

    def _on_CutBody(self, command: c.CutBody) -> None:  # noqa: N802
        check(self.over, f"{command} while there is time")
        check(self.body_in_flight, f"{command}, and it is not in flight")
        check(not any(self.holds), f"{command} before the work was cut")
        check(not self.body_was_cut, f"{command} twice")
        self.body_was_cut = True

    def _on_CutDrain(self, command: c.CutDrain) -> None:  # noqa: N802
        who = command.component
        check(self.drain[who] == HOOK, f"{command}: no hook runs")
        check(not self.cut_hook[who], f"{command} twice")
        check(self.over or self.timed_out[who], f"{command} while there is time")
        check(not self.holds[who], f"{command} before its work was cut")
        self.cut_hook[who] = True

    def _on_Stop(self, command: c.Stop) -> None:  # noqa: N802
        who = command.component
        check(self.start[who] == READY, f"{command}: it was never ready")
        check(self.stop[who] == IDLE, f"{command} twice")
        self._check_closing(command)
        for other in self.dependents[who]:
            check(self.start[other] not in _UNDER_WAY, f"{command} while {other} is starting")
            ready = self.start[other] == READY
            check(not ready or self.stop[other] == STOPPED, f"{command} before {other}")
        drain = self.drain[who] == IDLE and not self.crashed[who] and not self.forced
        check(command.drain is drain, f"{command}: it should be {drain}")
        self.stop[who] = STOPPING
        self.drains_in_stop[who] = drain

    def _on_Enter(self, command: c.Enter) -> None:  # noqa: N802
        phase = command.phase
        check((self.phase, phase) in _STEPS, f"{command} after {self.phase}")
        if phase is Phase.RUNNING:
            check(not set(self.start) & _UNSETTLED, f"{command} before all are settled")
            self.ran = True
        elif phase in (Phase.DELAYING, *_DRAINING):
            check(self.asked, f"{command}, and nobody asked for it")
        self.phase = phase
        if phase is Phase.CLOSING:
            self._may_close(command)

    def _check_closing(self, command: Command) -> None:
        # In a rollback the close is no phase of its own.
        if not self.closing and self.phase is Phase.ROLLING_BACK:
            self._may_close(command)
        check(self.closing, f"{command} before the close")

    def _may_close(self, command: Command | str) -> None:
        check(HOOK not in self.drain, f"{command} while something drains")
        check(not any(self.holds) and not self.body_in_flight, f"{command} with work in flight")
        check(not self.awaits_body, f"{command} before the body has ended")
        check(self.over or self._all_drained(), f"{command} before all have drained")
        self.closing = True

    def _all_drained(self) -> bool:
        return all(
            drain == DRAINED
            for start, drain in zip(self.start, self.drain, strict=True)
            if start == READY
        )

    def _body_is_there(self) -> bool:
        return self.body in (RUNS, WAITS)

    def _on_CancelBody(self, command: c.CancelBody) -> None:  # noqa: N802
        check(self._body_is_there(), f"{command}, and there is none")
        check(any(self.crashed), f"{command}, and nothing crashed")

    def _cancel_body(self) -> None:
        if self.body == WAITS:
            self._body_given_up()
        elif self.body == RUNS:
            self.body_was_cancelled = True

    def _on_Settled(self, command: c.Settled) -> None:  # noqa: N802
        self._check_closing(command)
        check(not set(self.start) & _UNDER_WAY, f"{command} while something unwinds")
        for start, stop in zip(self.start, self.stop, strict=True):
            check(start != READY or stop == STOPPED, f"{command} while something runs")
        self.settled = True

    # --- what should have come out -------------------------------------------------------------

    def _look(self) -> None:
        machine = self.machine
        if machine.closing and not self.closing:
            check(self.phase is Phase.ROLLING_BACK, "closing in silence")
            self._may_close("closing")
        check(machine.phase is self.phase, "phase is wrong")
        expected = [self._state_of(who) for who in range(self.graph.size)]
        check(machine.states == expected, "states are wrong")
        alive = [r == READY and s != STOPPED for r, s in zip(self.start, self.stop, strict=True)]
        check(
            alive == [machine.is_alive(who) for who in range(self.graph.size)],
            "is_alive is wrong",
        )
        open_ = not (self.closing or self.over or self.phase is Phase.CLOSED)
        check(machine.accepts_work is open_, "accepts_work is wrong")
        if self.phase is Phase.STARTING:
            self._look_at_starts()
        elif self.phase in _DRAINING and not self.closing:
            self._look_at_drains()
        elif self.closing and self.phase is not Phase.CLOSED:
            self._look_at_stops()
        elif self.phase is Phase.RUNNING:
            check(not self.asked, "asked to shut down, and it runs on")
        if self.phase not in (Phase.PREFLIGHT, Phase.STARTING):
            check(not set(self.start) & _UNSETTLED, "the start was given up, and goes on")

    def _state_of(self, who: int) -> State:
        if self.failed[who] or self.crashed[who]:
            if self.drains_in_stop[who]:
                return State.STOPPED if self.stop[who] == STOPPED else State.STOPPING
            return State.FAILED
        start, drain, stop = self.start[who], self.drain[who], self.stop[who]
        if start != READY:
            return _STATES_BEFORE[start]
        if stop != IDLE:
            return State.STOPPED if stop == STOPPED else State.STOPPING
        return _STATES_DRAINING[drain]

    def _look_at_starts(self) -> None:
        check(not self.asked, "asked to shut down, and it still starts")
        check(set(self.start) & _UNSETTLED, "all are settled, and it does not run")
        for who, start in enumerate(self.start):
            if start == IDLE:
                waiting = [d for d in self.dependencies[who] if self.start[d] in _UNSETTLED]
                check(waiting, f"{who} could start")
                known = sorted(self.machine.unsettled_dependencies(who))
                check(sorted(waiting) == known, f"{who} waits for {waiting}, not {known}")
                lost = any(
                    self.failed[d] or self.start[d] == SKIPPED for d in self.graph.requires[who]
                )
                check(not lost, f"{who} could be skipped")

    def _look_at_drains(self) -> None:
        work = any(self.holds) or self.body_in_flight
        if self.over:
            check(self.holds == self.cut_holds, "time is over, and work was not cut")
            check(work or HOOK in self.drain, "time is over, nothing runs, and it does not close")
            if not self.ends_work[SYSTEM]:
                check(not any(self.holds), "time is over, and work was not written off")
                check(self.body_was_cut or not self.body_in_flight, "the body was not cut")
                for who, drain in enumerate(self.drain):
                    check(drain != HOOK or self.cut_hook[who], f"hook of {who} was not cut")
            return
        for who, drain in enumerate(self.drain):
            if self.start[who] == READY and not self.awaits_body:
                self._look_at_drain(who, drain)
        check(
            work or self.awaits_body or not self._all_drained(),
            "all is drained, and it does not close",
        )

    def _look_at_drain(self, who: int, drain: str) -> None:
        if drain == IDLE:
            waits = any(
                self.start[d] in _UNDER_WAY or (self.start[d] == READY and self.drain[d] != DRAINED)
                for d in self.dependents[who]
            )
            # What crashed has no hook: it has drained as soon as its work has ended.
            waits = waits or (self.crashed[who] and bool(self.holds[who]))
            check(waits, f"{who} could drain")
        elif drain == ENDED:
            check(self.holds[who], f"{who} has drained")
        if self.timed_out[who] and drain != DRAINED:
            if self.holds[who]:
                check(self.cut_holds[who] == self.holds[who], f"work of {who} was not cut")
            elif drain == HOOK and not self.ends_work[who]:
                check(self.cut_hook[who], f"hook of {who} was not cut")

    def _look_at_stops(self) -> None:
        for who, stop in enumerate(self.stop):
            if self.start[who] == READY and stop == IDLE:
                waits = any(
                    self.start[d] in _UNDER_WAY
                    or (self.start[d] == READY and self.stop[d] != STOPPED)
                    for d in self.dependents[who]
                )
                check(waits, f"{who} could stop")
        ended = all(
            start not in _UNDER_WAY and (start != READY or stop == STOPPED)
            for start, stop in zip(self.start, self.stop, strict=True)
        )
        check(ended is self.settled, "settled" if self.settled else "it does not settle")


_STEPS = {
    (Phase.PREFLIGHT, Phase.STARTING),
    (Phase.PREFLIGHT, Phase.DRAINING),
    (Phase.PREFLIGHT, Phase.ROLLING_BACK),
    (Phase.STARTING, Phase.RUNNING),
    (Phase.STARTING, Phase.DRAINING),
    (Phase.STARTING, Phase.ROLLING_BACK),
    (Phase.RUNNING, Phase.DELAYING),
    (Phase.RUNNING, Phase.DRAINING),
    (Phase.DELAYING, Phase.DRAINING),
    (Phase.DRAINING, Phase.CLOSING),
    (Phase.CLOSING, Phase.CLOSED),
    (Phase.ROLLING_BACK, Phase.CLOSED),
}

_STATES_BEFORE = {
    IDLE: State.PENDING,
    STARTING: State.STARTING,
    CANCELLED: State.STARTING,
    GONE: State.STOPPED,
    SKIPPED: State.SKIPPED,
}

_STATES_DRAINING = {
    IDLE: State.READY,
    HOOK: State.DRAINING,
    ENDED: State.DRAINING,
    DRAINED: State.DRAINED,
}

_CONSTANT = frozenset(
    {"graph", "machine", "dependencies", "dependents", "most_holds", "left", "said"}
)


def _memory(thing: object) -> list[object]:
    return [
        _frozen(value)
        for name, value in vars(thing).items()
        if name not in _CONSTANT and not _is_nested(value)
    ]


def _is_nested(value: Any) -> bool:
    """Whether it is a table made of lists, as those that say who depends on whom."""
    return type(value) is list and bool(value) and type(value[0]) in (list, tuple)


def _frozen(value: Any) -> object:
    kind = type(value)
    if kind is list:
        return tuple(value)
    if kind is bytearray:
        return bytes(value)
    return tuple(value.items()) if kind is dict else value


def _copied(thing: T) -> T:
    twin = object.__new__(type(thing))
    memory = vars(twin)
    for name, value in vars(thing).items():
        memory[name] = value.copy() if type(value) in _MUTABLE else value
    return twin


_MUTABLE = frozenset({list, bytearray, dict})
