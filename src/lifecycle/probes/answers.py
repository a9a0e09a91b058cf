"""What the probes say: the one place that knows when a system is healthy, ready and started.

Whatever carries the answer, HTTP, gRPC or systemd, asks here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs

from lifecycle.states import Phase, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lifecycle import System
    from lifecycle.report import CheckResult, ComponentStatus, Status

Probe: TypeAlias = Literal["health", "ready", "startup"]


@attrs.frozen
class Answer:
    """What a probe was told."""

    ok: bool
    phase: Phase
    reason: str | None
    """Why the system shuts down; None as long as it does not."""
    components: Mapping[str, ComponentStatus]
    """Those that were asked for, or all, each with what its checks said."""
    unknown: tuple[str, ...] = ()
    """Names that were asked for and that no component has; the answer is not ok then."""
    started: bool = False
    """Whether the start of the system was done."""


async def ask(system: System, probe: Probe, components: Sequence[str] = ()) -> Answer:
    """Ask a system how it is.

    ``health``: whether the process can do work. It can in every phase, a shutdown included, unless
    a check declared as liveness fails; checks are asked while the system runs, and what they said
    before does not count afterwards.

    ``ready``: whether new work should be sent here. Only while it runs, no shutdown was asked for,
    every component that is not optional is ready and says so, and all its checks pass.

    ``startup``: whether the start was done.

    It takes at most `Settings.check_timeout` seconds, and no time where there is nothing to check.

    Args:
        system: the system.
        probe: what is asked.
        components: names of components: the answer is then about these alone, and one that is
            optional counts like any other.

    Raises:
        ValueError: there is no such probe.

    """
    try:
        is_ok = _RULES[probe]
    except KeyError:
        message = f"probe is {probe!r}, but must be 'health', 'ready' or 'startup'"
        raise ValueError(message) from None
    unknown = unknown_of(system, components)
    if not unknown and probe in _LIVENESS:
        await system.check(*components, liveness=_LIVENESS[probe])
    # Only what is the case after the checks may be said: a shutdown may have been asked for.
    status = system.status()
    named = {name: status.components[name] for name in components if name not in unknown}
    told = shown(system, status)
    return Answer(
        ok=not unknown and is_ok(status, named),
        phase=told.phase,
        reason=told.reason,
        components={n: told.components[n] for n in named} if components else told.components,
        unknown=unknown,
        started=status.started,
    )


def unknown_of(system: System, names: Sequence[str]) -> tuple[str, ...]:
    """Which of these names no component of a system has."""
    if not names:
        return ()
    known = {node.name for node in system.plan.components}
    return tuple(dict.fromkeys(name for name in names if name not in known))


def shown(system: System, status: Status | None = None) -> Status:
    """How a system stands, as probes may say it: types of errors, and no messages.

    With `Settings.probe_details` it is the whole status.

    Args:
        system: the system.
        status: a status of it, where one is at hand.

    """
    status = system.status() if status is None else status
    if system.settings.probe_details:
        return status
    changed: dict[str, Any] = {}
    if status.error is not None:
        changed["reason"] = f"something failed: {status.error}"
    if any(check.message for one in status.components.values() for check in one.checks):
        changed["components"] = {name: _bare(one) for name, one in status.components.items()}
    return attrs.evolve(status, **changed) if changed else status


def _bare(component: ComponentStatus) -> ComponentStatus:
    checks = tuple(attrs.evolve(check, message=None) for check in component.checks)
    return attrs.evolve(component, checks=checks)


def _is_healthy(status: Status, named: Mapping[str, ComponentStatus]) -> bool:
    # A liveness check that failed just before the shutdown must not have the process killed in the
    # middle of it, for all of the grace period: it is not asked again.
    return status.phase is not Phase.RUNNING or _pass(
        check for check in _checks(_counted(status, named)) if check.liveness
    )


def _is_ready(status: Status, named: Mapping[str, ComponentStatus]) -> bool:
    if not _pass(_checks(_counted(status, named))):
        return False
    if not named:
        return status.ready
    runs = status.phase is Phase.RUNNING and status.reason is None
    return runs and all(
        one.state is State.READY and one.unavailable is None for one in named.values()
    )


def _has_started(status: Status, named: Mapping[str, ComponentStatus]) -> bool:
    if status.started or not named:
        return status.started
    return all(one.state is State.READY for one in named.values())


_RULES: dict[Probe, Callable[[Status, Mapping[str, ComponentStatus]], bool]] = {
    "health": _is_healthy,
    "ready": _is_ready,
    "startup": _has_started,
}
_LIVENESS: dict[Probe, bool | None] = {"health": True, "ready": None}
"""The checks that a probe asks; one that is not here asks none."""


def _counted(status: Status, named: Mapping[str, ComponentStatus]) -> Iterable[ComponentStatus]:
    """Those whose checks count: the ones that were named, else all that are not optional."""
    return named.values() or (one for one in status.components.values() if not one.optional)


def _checks(components: Iterable[ComponentStatus]) -> Iterable[CheckResult]:
    return (check for one in components for check in one.checks)


def _pass(checks: Iterable[CheckResult]) -> bool:
    return all(check.ok for check in checks)
