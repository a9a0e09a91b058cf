from __future__ import annotations

import math

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle._core.budget import (
    FORCED_STOP,
    LEAST,
    UNWIND,
    Budget,
    followers,
    hook_deadline,
    margin,
)
from lifecycle._core.component import Kind, Node

INSTANT = 1e-6

moments = st.floats(0, 1e6)
durations = st.floats(0.01, 1e4)


@st.composite
def budgets(draw: st.DrawFn) -> tuple[float, float, Budget]:
    """Draw when it was asked for, the grace period, and how it is shared out."""
    asked_at, grace = draw(moments), draw(durations)
    reserve = grace * draw(st.floats(0.01, 0.8))
    companions = draw(st.booleans())
    shared = Budget.of(
        asked_at=asked_at, grace_period=grace, close_reserve=reserve, companions=companions
    )
    return asked_at, grace, shared


@pytest.mark.parametrize(
    ("grace", "less"), [(25, 0.5), (5, 0.5), (2, 0.2), (0.1, 0.01)], ids=lambda value: f"{value:g}"
)
@pytest.mark.rule("D7")
def test_a_little_is_kept_back(grace: float, less: float) -> None:
    """Everything is planned to end 0.5 s before the grace period does, or a tenth of it."""
    assert less == pytest.approx(margin(grace))


@pytest.mark.rule("D4", "D8")
def test_half_a_second_to_unwind() -> None:
    """That is what is left to whoever was cancelled before it is abandoned; to forced stops, 2."""
    assert (0.5, 2) == (UNWIND, FORCED_STOP)


@pytest.mark.rule("D7")
def test_the_defaults() -> None:
    """Of 25 s the drain has 19.5 at most, the close 5 more."""
    assert Budget(end=124.5, stops_end=124.5, drains_end=119.5) == Budget.of(
        asked_at=100, grace_period=25, close_reserve=5, companions=False
    )


@pytest.mark.rule("D9")
@pytest.mark.parametrize(("reserve", "kept"), [(5, 1), (2, 1), (1, 0.5)])
def test_companions_have_the_last_second(reserve: float, kept: float) -> None:
    """Stops are planned to end 1 s before the companions, or half of the close's reserve."""
    shared = Budget.of(asked_at=0, grace_period=10, close_reserve=reserve, companions=True)

    assert (9.5, 9.5 - kept, 9.5 - reserve) == (shared.end, shared.stops_end, shared.drains_end)


@pytest.mark.rule("D7")
@given(budgets())
def test_the_parts_follow_each_other(drawn: tuple[float, float, Budget]) -> None:
    """Drains end before stops, stops before the companions, and these inside the grace period."""
    asked_at, grace, shared = drawn

    assert asked_at <= shared.drains_end < shared.stops_end <= shared.end < asked_at + grace


@pytest.mark.rule("D10")
@given(budgets(), st.floats(0, 1), st.floats(0, 2))
def test_an_earlier_deadline_squeezes_all_of_it(
    drawn: tuple[float, float, Budget], since: float, until: float
) -> None:
    """Where a deadline comes first, all parts keep their order and their shares, and end by it."""
    asked_at, grace, shared = drawn
    now, deadline = asked_at + since * grace, asked_at + until * grace

    squeezed = shared.ending_by(deadline, now)

    assert squeezed.end == min(shared.end, deadline)
    last = max(now, squeezed.end) + INSTANT * grace
    assert squeezed.drains_end <= squeezed.stops_end <= last or squeezed is shared


@pytest.mark.rule("D10")
def test_no_deadline_squeezes_nothing() -> None:
    """Without a deadline around it, it stays as it is."""
    shared = Budget.of(asked_at=0, grace_period=10, close_reserve=2, companions=True)

    assert shared is shared.ending_by(math.inf, 3)


@pytest.mark.rule("D10")
def test_half_the_time_for_half_as_much() -> None:
    """What is left is shared out as it was."""
    shared = Budget(end=110, stops_end=108, drains_end=104)

    assert Budget(end=105, stops_end=104, drains_end=102) == shared.ending_by(105, 100)
    little = Budget(end=100.4, stops_end=100.2, drains_end=100.1)
    assert (100.2, 100.1, 100.05) == pytest.approx(attrs.astuple(little.ending_by(100.2, 100)))


@pytest.mark.rule("D10")
def test_what_is_over_already_is_not_moved_back() -> None:
    """A part whose time has passed ends now, and at the very end so does all of it."""
    shared = Budget(end=110, stops_end=108.5, drains_end=108.2)

    assert Budget(end=109.5, stops_end=109, drains_end=109) == shared.ending_by(109.5, 109)
    assert Budget(end=105, stops_end=110, drains_end=110) == shared.ending_by(105, 110)


@pytest.mark.rule("D7")
@pytest.mark.parametrize(
    ("own", "following", "ends"),
    [
        (3, 0, 103),  # its own timeout
        (30, 0, 110),  # what is left
        (30, 1, 109),  # less a second for the next
        (30, 4, 106),
        (30, 9, 101),  # an equal share of a second each
        (30, 19, 100.5),  # an equal share of half a second
        (30, 999, 100.1),  # but long enough to do something at all
        (3, 4, 103),
        (0, 0, 100),
    ],
)
def test_what_a_hook_gets(own: float, following: int, ends: float) -> None:
    """At most its own timeout, and never the last second of those that follow it."""
    assert ends == pytest.approx(hook_deadline(100, own, 110, following))


@pytest.mark.rule("D7")
@given(moments, st.floats(0, 1e4), st.floats(0, 10), st.integers(0, 100))
def test_no_hook_is_called_with_less_than_no_time(
    now: float, own: float, late: float, following: int
) -> None:
    """When the time is over a hook has none; it has no deadline in the past."""
    assert now == hook_deadline(now, own, now - late, following)


@pytest.mark.rule("D7")
@given(st.floats(0.1, 100), st.integers(1, 60))
def test_stuck_hooks_leave_the_others_their_time(time: float, hooks: int) -> None:
    """In a chain in which every hook is stuck, each gets a second, or its share, or a tenth."""
    now = 0.0
    for place in range(hooks):
        left = time - now
        ends = hook_deadline(now, math.inf, time, hooks - place - 1)
        assert ends <= time + INSTANT
        fair = min(1.0, time / hooks)
        assert ends - now >= min(fair, left) - INSTANT or ends - now >= min(LEAST, left) - INSTANT
        now = ends


@pytest.mark.rule("D7")
def test_followers_are_those_with_a_hook_on_the_longest_path() -> None:
    """What follows a hook are the hooks of what it depends on, however far, the longest way."""
    dependencies = [(), (0,), (1,), (0,), (2, 3), ()]
    nodes = [
        Node(index=i, name=f"c{i}", handle=i, kind=Kind.FUNCTION, requires=d[:1], wants=d[1:])
        for i, d in enumerate(dependencies)
    ]

    assert [0, 1, 2, 1, 3, 0] == followers(nodes, [True] * 6)
    assert [0, 1, 1, 1, 2, 0] == followers(nodes, [True, False, True, True, True, True])
    assert [0] * 6 == followers(nodes, [False] * 6)
