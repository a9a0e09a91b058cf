"""What the runs have found: each fault by the smallest script that showed it, on every loop.

A new one is pasted here, is mended, and stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.chaos.script import Act, Ask, Body, Companion, Part, Script
from tests.chaos.searching import LOOPS, check

if TYPE_CHECKING:
    from tests.chaos.stage import Loop

FOUND: Final = {
    "a drain that was cut before its task had run took the stop with it": Script(
        parts=(Part(drain=Act(takes=12.0), stop=Act(takes=1.0), drain_timeout=0.0),),
        body=Body("waits"),
        asks=(Ask(1.0),),
    ),
    "a shutdown waited for a companion that was being entered": Script(
        asks=(Ask(0.0),), companions=(Companion(Act("hangs")),), grace_period=6.0
    ),
    "companions were entered after a shutdown had been asked for": Script(
        cancelled_at=0.0,
        companions=(Companion(Act("ignores", 12.0)),),
        grace_period=6.0,
    ),
    "what a companion raised when it was not entered in time was lost": Script(
        companions=(Companion(Act("trips")),)
    ),
    "a check that raised no Exception ended the engine": Script(checks=(Act("breaks"),)),
    "a check that was cancelled by somebody else had passed": Script(checks=(Act("is cancelled"),)),
    "a check that failed before the shutdown was forgotten": Script(
        checks=(Act("fails"), Act(takes=3.0)), asks=(Ask(1.0),)
    ),
    "a SystemExit in a service with a group was a crash": Script(
        parts=(Part("service", crash=Act("exits")),), body=Body("waits"), asks=(Ask(9.0),)
    ),
    "a SystemExit in the stop of what had crashed was lost": Script(
        parts=(Part(stop=Act("exits"), crash=Act("fails")),), body=Body("waits"), asks=(Ask(9.0),)
    ),
    "a KeyboardInterrupt in a drain within the stop was a failed drain": Script(
        parts=(
            Part("thread object", Act(takes=1.0), drain=Act("interrupts")),
            Part("object", Act("fails")),
        ),
    ),
    "what had crashed was lost where its stop was cut": Script(
        parts=(Part(stop=Act("hangs"), crash=Act("fails")),), body=Body("waits"), asks=(Ask(9.0),)
    ),
    "the crash of an optional component whose drain was cut was lost": Script(
        parts=(
            Part(drain=Act("hangs"), crash=Act("fails", 4.0), optional=True, drain_timeout=0.5),
        ),
        body=Body("ignores", 9.0),
        asks=(Ask(1.0),),
    ),
    "the last attempt of a start that ran out of time was not told": Script(
        parts=(Part(start=Act("fails", 1.0), retry=1, start_timeout=1.05),)
    ),
    "a start was begun after a derived value had failed": Script(
        parts=(
            Part("object"),
            Part("derived", Act("fails"), requires=(0,)),
            Part("object", requires=(0,)),
        )
    ),
    "a deadline around a body that raised SystemExit bounded nothing": Script(
        parts=(Part(stop=Act("hangs"), stop_timeout=50.0),), body=Body("exits", 1.0), deadline=4.0
    ),
    "the stop hook of what has none had not ended in time": Script(
        parts=(
            Part("function", drain=Act()),
            Part("thread object", Act(takes=12.0), optional=True, wants=(0,), start_timeout=2.0),
        ),
        body=Body("waits"),
        forced_at=2.0,
    ),
    "a service that failed after its stop was abandoned had crashed": Script(
        parts=(Part("plain service", stop=Act("fails", 1.0), stop_timeout=0.5),)
    ),
    "a service that failed long after its stop was abandoned had crashed": Script(
        parts=(Part("plain service", stop=Act("fails", 12.0), stop_timeout=0.5),)
    ),
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("what", FOUND)
def test_it_is_mended(what: str, loop: Loop) -> None:
    """What was broken holds."""
    assert [] == check(FOUND[what], loop)
