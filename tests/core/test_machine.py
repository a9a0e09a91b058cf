"""The machine, told as short stories: what it hears, and what it says to that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lifecycle._core.component import Kind, Node
from lifecycle._core.machine import Machine
from lifecycle._core.transitions import COMPONENT, SYSTEM, Cause, Fact, follow
from lifecycle.states import Phase, State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lifecycle._core.commands import Command

A, B, C, D = range(4)


def node(index: int, *requires: int, wants: Sequence[int] = (), optional: bool = False) -> Node:
    """Make a node called `a`, `b`, …."""
    return Node(
        index=index,
        name="abcd"[index],
        handle=index,
        kind=Kind.FUNCTION,
        requires=requires,
        wants=tuple(wants),
        optional=optional,
    )


def told(commands: Sequence[Command]) -> str:
    """Write commands as in ``Enter(starting) Start(a)``."""
    return " ".join(_told(command) for command in commands)


def _told(command: Command) -> str:
    fields = [
        "abcd"[field] if isinstance(field, int) and not isinstance(field, bool) else str(field)
        for field in command
    ]
    return f"{type(command).__name__}({', '.join(fields)})"


def running(*nodes: Node) -> Machine:
    """Make a machine whose components are all ready."""
    machine = Machine(nodes)
    machine.begin()
    for each in nodes:
        machine.started(each.index)
    assert machine.phase is Phase.RUNNING
    return machine


@pytest.mark.rule("S2")
def test_a_start() -> None:
    """Each starts when what it depends on is ready; when all are, the system runs."""
    machine = Machine([node(A), node(B, A), node(C, wants=[A])])

    assert told(machine.begin()) == "Enter(starting) Start(a)"
    assert told(machine.started(A)) == "Start(b) Start(c)"
    assert told(machine.started(C)) == ""
    assert told(machine.started(B)) == "Enter(running)"


@pytest.mark.rule("S2")
def test_nothing_at_all() -> None:
    """A system without components runs, and closes, at once."""
    machine = Machine([])

    assert told(machine.begin()) == "Enter(starting) Enter(running)"
    assert told(machine.shut_down(delay=False)) == "Enter(draining) Enter(closing) Settled()"
    assert told(machine.closed()) == "Enter(closed)"


@pytest.mark.rule("D3", "D4", "D5")
def test_a_shutdown() -> None:
    """Dependents drain before dependencies, all before any stops, and dependents stop first."""
    machine = running(node(A), node(B, A))

    assert told(machine.shut_down(delay=True)) == "Enter(delaying)"
    assert told(machine.shut_down(delay=True)) == ""
    assert told(machine.shut_down(delay=False)) == "Enter(draining) Drain(b)"
    assert told(machine.drained(B)) == "HasDrained(b) Drain(a)"
    assert told(machine.drained(A)) == "HasDrained(a) Enter(closing) Stop(b, False)"
    assert told(machine.stopped(B)) == "Stop(a, False)"
    assert told(machine.stopped(A)) == "Settled()"
    assert told(machine.closed()) == "Enter(closed)"


@pytest.mark.rule("D3", "D4")
def test_work_in_flight() -> None:
    """A component drains until its work has ended; work of the system keeps all from closing."""
    machine = running(node(A), node(B, A))
    machine.held(B)
    machine.held(None)

    assert told(machine.shut_down(delay=False)) == "Enter(draining) Drain(b)"
    assert told(machine.drained(B)) == ""
    assert told(machine.released(B)) == "HasDrained(b) Drain(a)"
    assert told(machine.drained(A)) == "HasDrained(a)"
    assert told(machine.released(None)) == "Enter(closing) Stop(b, False)"


@pytest.mark.rule("D3", "D4")
def test_work_of_what_has_drained() -> None:
    """It is waited for like any other, and its component drains no second time."""
    machine = running(node(A), node(B, A))
    machine.shut_down(delay=False)
    machine.drained(B)
    machine.held(B)

    assert told(machine.drained(A)) == "HasDrained(a)"
    assert told(machine.released(B)) == "Enter(closing) Stop(b, False)"


@pytest.mark.rule("D4")
def test_the_drain_is_over() -> None:
    """Work is cut before hooks are; what was not asked to drain does so as a part of its stop."""
    machine = running(node(A), node(B, A))
    machine.held(A)
    machine.shut_down(delay=False)

    assert told(machine.drain_over()) == "CutWork(None)"
    assert not machine.accepts_work
    assert told(machine.released(A)) == ""
    assert told(machine.work_written_off(None)) == "CutDrain(b)"
    assert told(machine.drained(B)) == "HasDrained(b) Enter(closing) Stop(b, False)"
    assert told(machine.stopped(B)) == "Stop(a, True)"


@pytest.mark.rule("D4")
def test_a_deadline_before_the_drain() -> None:
    """Cuts nothing: it was somebody else's."""
    machine = running(node(A))
    machine.held(A)

    assert told(machine.drain_over()) == ""
    assert machine.accepts_work


@pytest.mark.rule("R4", "D4")
def test_what_waits_for_the_body_alone() -> None:
    """Whether all but the body has drained is known while it drains, and at no other time."""
    machine = running(node(A))
    machine.body_began()
    known = [machine.has_drained]

    machine.shut_down(delay=False)
    known.append(machine.has_drained)
    machine.held(None)
    machine.drained(A)
    known.append(machine.has_drained)
    machine.released(None)
    known.append(machine.has_drained)
    machine.body_ended()

    assert [False, False, False, True, False] == [*known, machine.has_drained]


@pytest.mark.rule("D4")
def test_the_time_of_one_component_is_over() -> None:
    """The drain of the others goes on."""
    machine = running(node(A), node(B, A))
    machine.held(B)
    machine.shut_down(delay=False)

    assert told(machine.drain_timed_out(B)) == "CutWork(b)"
    assert machine.is_cut(B)
    assert machine.accepts_work
    assert told(machine.released(B)) == ""
    assert told(machine.work_written_off(B)) == "CutDrain(b)"
    assert told(machine.drained(B)) == "HasDrained(b) Drain(a)"


@pytest.mark.rule("S3")
def test_a_failed_start() -> None:
    """What is starting is cancelled and holds back what it uses; the rest drains, then stops."""
    machine = Machine([node(A), node(B, A), node(C)])
    machine.begin()
    machine.started(A)

    assert told(machine.start_failed(C)) == "Enter(rolling back) Cancel(b)"
    assert told(machine.unwound(B)) == "Drain(a)"
    assert told(machine.drained(A)) == "HasDrained(a) Stop(a, False)"
    assert machine.closing
    assert told(machine.stopped(A)) == "Settled()"
    assert [State.STOPPED, State.STOPPED, State.FAILED] == machine.states


@pytest.mark.rule("S3", "S4")
def test_a_start_that_its_cancellation_did_not_reach() -> None:
    """What became ready all the same is drained and stopped like the others."""
    machine = Machine([node(A), node(B, A), node(C)])
    machine.begin()
    machine.started(A)
    machine.shut_down(delay=False)

    assert told(machine.started(B)) == "Drain(b)"
    assert told(machine.drained(B)) == "HasDrained(b) Drain(a)"
    assert told(machine.drained(A)) == "HasDrained(a) Enter(closing) Stop(b, False)"
    assert told(machine.started(C)) == "Stop(c, True)"


@pytest.mark.rule("G3")
def test_an_optional_component_fails() -> None:
    """What requires it is skipped, however far off; what wants it starts."""
    machine = Machine(
        [node(A, optional=True), node(B, A, optional=True), node(C, wants=[A, B])],
    )
    machine.begin()

    assert told(machine.start_failed(A)) == "Skip(b, a) Start(c)"
    assert {B: A} == machine.blame
    assert told(machine.started(C)) == "Enter(running)"
    assert told(machine.shut_down(delay=False)) == "Enter(draining) Drain(c)"


@pytest.mark.rule("G3")
def test_an_optional_component_crashes_before_what_requires_it_has_begun() -> None:
    """It is as if it had failed: what requires it is skipped."""
    machine = Machine([node(A, optional=True), node(B), node(C, A, B, optional=True)])
    machine.begin()
    machine.started(A)

    machine.crashed(A)

    assert told(machine.started(B)) == "Skip(c, a) Enter(running)"


@pytest.mark.rule("G2")
def test_what_may_start_at_the_same_time_starts_in_the_order_of_registration() -> None:
    """Also where one of them had to wait for what is skipped, and the others had not."""
    machine = Machine(
        [
            node(A, optional=True),
            node(B, A, optional=True),
            node(C, wants=[B]),
            node(D, wants=[A]),
        ],
    )
    machine.begin()

    assert told(machine.start_failed(A)) == "Skip(b, a) Start(c) Start(d)"


@pytest.mark.rule("G2")
def test_what_may_drain_at_the_same_time_drains_in_the_reverse_order() -> None:
    """Also where one of them had to wait for what has crashed, which takes no time."""
    machine = running(node(A), node(B), node(C), node(D, wants=[A], optional=True))
    machine.crashed(D)

    commands = machine.shut_down(delay=False)

    assert told(commands) == "Enter(draining) HasDrained(d) Drain(c) Drain(b) Drain(a)"


@pytest.mark.rule("R1", "R4")
def test_a_crash() -> None:
    """The body is cancelled, and the drain begins when it has ended; what crashed has no drain."""
    machine = running(node(A), node(B, A))
    machine.body_began()

    assert told(machine.crashed(B)) == "CancelBody() Enter(draining)"
    assert told(machine.body_ended()) == "HasDrained(b) Drain(a)"
    assert told(machine.drained(A)) == "HasDrained(a) Enter(closing) Stop(b, False)"
    assert State.FAILED is machine.states[B]


@pytest.mark.rule("R1")
def test_the_crash_of_what_is_optional() -> None:
    """The system runs on."""
    machine = running(node(A, optional=True))
    machine.body_began()

    assert told(machine.crashed(A)) == ""
    assert Phase.RUNNING is machine.phase


@pytest.mark.rule("R1", "R4")
def test_a_body_that_does_not_end_after_a_crash() -> None:
    """It is given up, and the drain begins; it has the drain's time as well."""
    machine = running(node(A))
    machine.body_began()
    machine.crashed(A)

    assert told(machine.body_given_up()) == "HasDrained(a)"
    assert told(machine.drain_over()) == "CutBody()"
    assert told(machine.body_waits()) == "Enter(closing) Stop(a, False)"


@pytest.mark.rule("R4")
def test_the_body_is_cut_after_its_work() -> None:
    """So that it can handle what became of that."""
    machine = running(node(A))
    machine.body_began()
    machine.held(None)
    machine.shut_down(delay=False)
    machine.drained(A)

    assert told(machine.drain_over()) == "CutWork(None)"
    assert told(machine.released(None)) == ""
    assert told(machine.work_written_off(None)) == "CutBody()"
    assert told(machine.body_ended()) == "Enter(closing) Stop(a, False)"


@pytest.mark.rule("R4")
def test_a_body_that_waits_for_the_end() -> None:
    """It holds nothing up, until it waits no longer."""
    machine = running(node(A))
    machine.body_began()
    assert told(machine.body_waits()) == ""
    assert told(machine.body_goes_on()) == ""
    machine.shut_down(delay=False)

    assert told(machine.drained(A)) == "HasDrained(a)"
    assert told(machine.body_waits()) == "Enter(closing) Stop(a, False)"


def test_a_forced_end() -> None:
    """No drain is begun any more, in a stop neither, and those that run are cut off."""
    machine = running(node(A), node(B, A))
    machine.shut_down(delay=False)

    assert told(machine.force()) == "CutDrain(b)"
    assert told(machine.drained(B)) == "HasDrained(b) Enter(closing) Stop(b, False)"
    assert told(machine.stopped(B)) == "Stop(a, False)"
    assert told(machine.force()) == ""


def test_a_forced_end_out_of_the_blue() -> None:
    """Nothing is asked to drain."""
    machine = running(node(A), node(B, A))

    assert told(machine.force()) == "Enter(draining) Enter(closing) Stop(b, False)"
    assert told(machine.stopped(B)) == "Stop(a, False)"


@pytest.mark.rule("S1")
def test_a_failed_preflight() -> None:
    """Nothing starts."""
    machine = Machine([node(A), node(B, A)])

    commands = machine.preflight_failed()

    assert told(commands) == "Enter(rolling back) Skip(a, None) Skip(b, None) Settled()"


@pytest.mark.rule("S6", "D11")
def test_a_shutdown_before_the_start() -> None:
    """Nothing starts, and a check that fails after that changes nothing."""
    machine = Machine([node(A)])

    commands = machine.shut_down(delay=True)

    assert told(commands) == "Enter(draining) Skip(a, None) Enter(closing) Settled()"
    assert told(machine.preflight_failed()) == ""


@pytest.mark.rule("D11")
def test_a_shutdown_at_any_other_time_changes_nothing() -> None:
    """While it drains, while it closes, and after the end."""
    machine = running(node(A))
    machine.shut_down(delay=False)

    go_on: list[Callable[[], object]] = [
        lambda: machine.drained(A),
        lambda: machine.stopped(A),
        machine.closed,
    ]
    for step in go_on:
        assert told(machine.shut_down(delay=False)) == ""
        assert told(machine.shut_down(delay=True)) == ""
        step()
    assert told(machine.shut_down(delay=False)) == ""
    assert told(machine.force()) == ""
    assert told(machine.drain_over()) == ""


@pytest.mark.rule("G4")
def test_a_long_chain() -> None:
    """100 000 components in a chain: nothing recurses, and nothing is searched for again."""
    size = 100_000
    nodes = [
        Node(index=i, name="", handle=i, kind=Kind.FUNCTION, requires=(i - 1,) if i else ())
        for i in range(size)
    ]
    machine = running(*nodes)
    machine.shut_down(delay=False)
    for which in reversed(range(size)):
        machine.drained(which)
    assert Phase.CLOSING is machine.phase
    for which in reversed(range(size)):
        machine.stopped(which)
    machine.closed()

    assert {State.STOPPED} == set(machine.states)


@pytest.mark.rule("G4")
def test_a_long_chain_that_has_nothing_to_do() -> None:
    """The same where all have crashed, and where all are skipped."""
    size = 100_000
    nodes = [
        Node(index=i, name="", handle=i, kind=Kind.FUNCTION, requires=(i - 1,) if i else (),
             optional=True)
        for i in range(size)
    ]  # fmt: skip
    crashed = running(*nodes)
    for which in range(size):
        crashed.crashed(which)
    crashed.shut_down(delay=False)
    assert Phase.CLOSING is crashed.phase

    skipped = Machine(nodes)
    skipped.begin()
    skipped.start_failed(0)
    assert Phase.RUNNING is skipped.phase
    assert {0} == set(skipped.blame.values())


def test_a_fact_that_does_not_fit() -> None:
    """Is a fault of the engine, and is told as such."""
    machine = Machine([node(A)])

    with pytest.raises(RuntimeError, match="fault of lifecycle itself"):
        machine.started(A)
    with pytest.raises(RuntimeError, match="fault of lifecycle itself"):
        machine.closed()


@pytest.mark.parametrize("state", State, ids=str)
def test_every_state_has_its_row(state: State) -> None:
    """The table knows every state, and every step leads to one that it knows."""
    assert set(COMPONENT[state].values()) <= set(COMPONENT)
    assert {State.STOPPED, State.SKIPPED} >= ({state} if not COMPONENT[state] else set())


def test_every_step_of_the_tables_is_taken() -> None:
    """Every fact and every cause leads somewhere from somewhere."""
    assert set(Fact) == {fact for row in COMPONENT.values() for fact in row}
    assert set(Cause) == {cause for row in SYSTEM.values() for cause in row}
    assert set(Phase) == set(SYSTEM)
    assert Phase.CLOSED is follow(SYSTEM, Phase.CLOSING, Cause.CLOSED)
