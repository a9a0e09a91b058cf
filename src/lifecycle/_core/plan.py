"""A registry, checked and frozen, and how long it can take."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

import attrs

from lifecycle._core.component import Kind
from lifecycle._core.graph import longest_path
from lifecycle.errors import SettingsError
from lifecycle.settings.limits import EnvName, env_form

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle._core.component import Node
    from lifecycle.settings import Settings


@attrs.frozen(eq=False)
class Plan:
    """What will run, in which order, and how long it can take at worst."""

    components: tuple[Node, ...]
    """In the order of start; ties in the order of registration."""
    name: str = ""
    """That of the registry."""
    checks: tuple[object, ...] = ()
    """The preflight checks, callables, in the order of registration."""
    critical_path: tuple[str, ...] = ()
    """The chain of dependencies whose time to start, added up, is the longest."""
    worst_start: float = 0.0
    """How long the start takes at worst, in seconds: each of the critical path at its timeout, but
    no longer than the `startup_timeout` of the settings."""
    worst_shutdown: float = 0.0
    """How long the shutdown would take if each hook took all of its own timeout, in seconds; the
    grace period cuts it short."""
    index_of: Mapping[object, int] = attrs.field(factory=dict[object, int], repr=False)
    """The index of each node by its handle."""
    absent: frozenset[object] = attrs.field(default=frozenset(), repr=False)
    """Handles and names of what was declared, and is not enabled or was left out."""


class NodeLimits(NamedTuple):
    """How long the hooks of one component may take, in seconds."""

    start: float
    drain: float | None
    """None: what the grace period leaves."""
    stop: float


def limits_of(node: Node, settings: Settings) -> NodeLimits:
    """Say how long the hooks of a component may take.

    What the settings say of it comes first, then its declaration, then the settings' defaults.
    """
    limits = settings.limits_of(node.handle, node.name)
    start, drain, stop = limits.start, limits.drain, limits.stop
    if start is None:
        start = settings.start_timeout if node.start_timeout is None else node.start_timeout
    if drain is None:
        drain = settings.drain_timeout if node.drain_timeout is None else node.drain_timeout
    if stop is None:
        stop = settings.stop_timeout if node.stop_timeout is None else node.stop_timeout
    return NodeLimits(start, drain, stop)


def check_settings(plan: Plan, settings: Settings) -> None:
    """Refuse settings that this plan cannot be run with: limits for what is no component.

    Limits for a component that is declared and absent, such as one that is not enabled here, are
    none's, and no error: settings may be shared by many roles of the same code.

    Raises:
        SettingsError: some are for what no component has as its handle or name.
    """
    unknown = settings.unknown_limits(
        [*((node.handle, node.name) for node in plan.components)]
        + [(absent, absent) if isinstance(absent, str) else (absent, "") for absent in plan.absent]
    )
    for key in unknown:
        if isinstance(key, EnvName):
            hint = _expected(str(key), plan, env_form)
            raise SettingsError(f"the component that {key.variable} is for", str(key), hint)
        raise SettingsError("a key of limits", key, _expected(key, plan))


def timed(plan: Plan, settings: Settings) -> Plan:
    """Work out how long a plan can take."""
    nodes = plan.components
    limits = [limits_of(node, settings) for node in nodes]
    dependencies = [node.dependencies for node in nodes]
    forth = range(len(nodes))
    instant = [node.kind in (Kind.VALUE, Kind.DERIVED) for node in nodes]

    starts = [0.0 if instant[i] else limits[i].start for i in forth]
    path = longest_path(dependencies, forth, starts)
    worst_start = sum(starts[i] for i in path)
    if settings.startup_timeout is not None:
        worst_start = min(worst_start, settings.startup_timeout)

    # A drain and a stop go the other way, and the same paths are the longest.
    stops = [0.0 if instant[i] else limits[i].stop for i in forth]
    worst_stop = sum(stops[i] for i in longest_path(dependencies, forth, stops))
    drains = [limits[i].drain if _drains(node) else 0.0 for i, node in enumerate(nodes)]
    known = [drain or 0.0 for drain in drains]
    worst_drain = sum(known[i] for i in longest_path(dependencies, forth, known))
    if None in drains:
        left = settings.grace_period - settings.drain_delay - settings.effective_close_reserve
        worst_drain = max(worst_drain, left)
    return attrs.evolve(
        plan,
        critical_path=tuple(nodes[i].name for i in path),
        worst_start=worst_start,
        worst_shutdown=settings.drain_delay + worst_drain + worst_stop,
    )


def _drains(node: Node) -> bool:
    """Whether it has something that is asked to drain, as far as it can be known before."""
    if node.kind is Kind.SERVICE:
        return node.takes_lifetime
    if node.kind is Kind.OBJECT:
        return node.hooks.drain is not None or callable(getattr(node.value, "drain", None))
    if node.kind is Kind.BUILD and node.drain_timeout is not None:
        return True  # who says how long it may take knows that there is one
    return node.kind is Kind.MAIN or node.hooks.drain is not None


def _expected(key: object, plan: Plan, form: Callable[[str], str] = str) -> str:
    text = "the handle or the name of a component"
    if not isinstance(key, str):
        return text
    names = [form(node.name) for node in plan.components]
    like = difflib.get_close_matches(key, names, n=1)
    return f"{text}; did you mean {like[0]!r}?" if like else text
