"""How a system stands, in words for whoever types ``systemctl status``.

Names and types only: messages of errors, and reasons that components give, may hold secrets.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lifecycle.states import Phase, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lifecycle import Settings
    from lifecycle.report import CheckResult, ComponentStatus, Status

_NAMED = 3
"""How many components are named; of the others there is a count."""


def describe(status: Status, settings: Settings) -> str:
    """Say how a system stands."""
    if status.error is not None and not status.started:
        return _cause(status)
    if status.phase is Phase.RUNNING and status.reason is None:
        return _running(status)
    now = _now(status, settings)
    return now if status.error is None else f"{_cause(status)}; {now}"


def describe_end(status: Status) -> str:
    """Say how it went, when everything has ended."""
    if status.error is not None:
        return _cause(status)
    wrong = [_with(one, one.error) for one in status.components.values() if _counts(one)]
    return f"closed, with errors: {_list(wrong)}" if wrong else "closed"


def _cause(status: Status) -> str:
    """Why it shuts down, where that is a failure."""
    kind = "failed" if status.started else "start failed"
    for one in status.components.values():
        if _counts(one) and one.error == status.error:
            has_crashed = status.started and one.state is State.FAILED
            return f"{'crashed' if has_crashed else kind}: {_with(one, one.error)}"
    return f"{kind}: {status.error}"


def _counts(one: ComponentStatus) -> bool:
    return one.error is not None and not one.optional


def _now(status: Status, settings: Settings) -> str:
    """What goes on, before it runs and when it shuts down."""
    left = "" if status.time_left is None else f", {_seconds(math.ceil(status.time_left))} left"
    if status.phase is Phase.PREFLIGHT:
        return "starting: preflight checks run"
    if status.phase is Phase.STARTING:
        total, ready = len(status.components), sum(1 for _ in _in(status, State.READY))
        waits = _waits_for(_in(status, State.STARTING))
        return ", ".join([f"starting: {ready} of {total} ready", *waits])
    if status.phase is Phase.DELAYING and status.time_left is not None:
        still = settings.drain_delay - (settings.grace_period - status.time_left)
        serves = f"serves for {_seconds(math.ceil(max(0.0, still)))} more"
        return f"shutting down: {serves}{left}"
    if status.phase in (Phase.DELAYING, Phase.RUNNING):
        return f"shutting down{left}"
    if status.phase is Phase.DRAINING:
        waits = [f"{len(status.in_flight)} in flight", *_waits_for(_in(status, State.DRAINING))]
        return f"draining: {', '.join(waits)}{left}"
    waits = _waits_for(_in(status, State.STOPPING, State.STARTING))
    kind = "rolling back" if status.phase is Phase.ROLLING_BACK else "closing"
    return f"{kind}: {waits[0]}{left}" if waits else f"{kind}{left}"


def _running(status: Status) -> str:
    total = len(status.components)
    everyone = f"{total} component{'' if total == 1 else 's'}"
    dead = [text for one in status.components.values() for text in _not_alive(one)]
    if dead:
        return f"not alive: {_list(dead)}"
    out = [text for one in status.components.values() for text in _not_ready(one)]
    if out:
        return f"not ready: {_list(out)}"
    hurt = [text for one in status.components.values() for text in _hurt(one)]
    if hurt:
        return f"degraded: {_list(hurt)}"
    return f"running: {everyone}"


def _not_alive(one: ComponentStatus) -> Iterator[str]:
    """What says that the process can do no work any more."""
    if not one.optional:
        for check in one.checks:
            if check.liveness and not check.ok:
                yield _failing(check, one)


def _not_ready(one: ComponentStatus) -> Iterator[str]:
    """What keeps the service out of rotation."""
    if not one.optional:
        yield from _complaints(one)


def _hurt(one: ComponentStatus) -> Iterator[str]:
    """What is wrong with a part that the service can do without."""
    if one.state in (State.FAILED, State.SKIPPED):
        yield _with(one, one.error or str(one.state))
    else:
        yield from _complaints(one)


def _complaints(one: ComponentStatus) -> Iterator[str]:
    if one.unavailable is not None:
        yield f"{one.name} is unavailable"
    for check in one.checks:
        if not check.ok:
            yield _failing(check, one)


def _failing(check: CheckResult, one: ComponentStatus) -> str:
    name = "check" if check.name == "check" else f"check {check.name}"
    return f"{name} of {_with(one, check.error)}"


def _in(status: Status, *states: State) -> Iterator[ComponentStatus]:
    return (one for one in status.components.values() if one.state in states)


def _waits_for(components: Iterable[ComponentStatus]) -> list[str]:
    """Whom it waits for, longest first; nothing where that is nobody."""
    ranked = sorted(components, key=lambda one: -one.since)
    names = [_with(one, _seconds(int(one.since)) if one.since >= 1 else None) for one in ranked]
    return [f"waits for {_list(names)}"] if names else []


def _with(one: ComponentStatus, detail: str | None) -> str:
    return one.name if detail is None else f"{one.name} ({detail})"


def _list(texts: Sequence[str]) -> str:
    named, more = texts[:_NAMED], len(texts) - _NAMED
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def _seconds(number: int) -> str:
    return f"{number} s"
