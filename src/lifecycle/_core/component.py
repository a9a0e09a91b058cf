"""One component, as a plan has it: who it is, what it needs, how it is to be called, its numbers.

A node is data. Nothing here calls what it holds.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Literal

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.settings import Retry

OnReturn = Literal["crash", "ignore", "shut_down"]


class Kind(enum.Enum):
    """Who owns the life of a component; each kind is one way to call what the user gave."""

    VALUE = "value"
    """A bare value: no hooks, no task."""
    DERIVED = "derived"
    """A value made from another component's by a function (``map``); no task."""
    FUNCTION = "function"
    """The function is the life (a generator), or gives a value."""
    BUILD = "build"
    """The function makes, on the event loop, an object that has a life of its own."""
    OBJECT = "object"
    """An object with a life of its own that exists already."""
    SERVICE = "service"
    """Runs as long as the system."""
    MAIN = "main"
    """Its end is the end of the program."""


@attrs.frozen(eq=False)
class Parameter:
    """A parameter of the user's function that is filled from other components."""

    name: str
    relation: Literal["requires", "wants", "requires_all"]
    targets: tuple[int, ...]
    """The nodes that fill it, by index; empty where what is wanted is absent."""
    default: object = None
    """For `wants`: what is passed where there is nothing."""
    positional: bool = False
    """Whether it must be passed by position."""


@attrs.frozen(eq=False)
class Check:
    """Something that is asked whether a component is in order."""

    function: Callable[..., Any]
    takes_value: bool = True
    """Whether it is called with the component's value, or without arguments."""
    liveness: bool = False
    """Whether its failure means that the process can do no work any more."""


@attrs.frozen(eq=False)
class Hooks:
    """The hooks of one component that were named by the user, beside what its kind brings."""

    start: Callable[..., Any] | None = None
    drain: Callable[..., Any] | None = None
    stop: Callable[..., Any] | None = None
    take_value: bool = True
    """Whether these three are called with the component's value (those of ``build``, and
    ``@c.drain``), or without arguments (those of ``add``)."""
    checks: tuple[Check, ...] = ()


def _all_edges(node: Node) -> tuple[int, ...]:
    return tuple(dict.fromkeys((*node.requires, *node.wants, *node.after)))


@attrs.frozen(eq=False)
class Node:
    """One component of a plan."""

    index: int
    """Its place in the order of start; what the machine and the engine know it by."""
    name: str
    handle: object
    """The `Component` that the user holds; the identity."""
    kind: Kind
    function: Callable[..., Any] | None = None
    """What is called: the decorated function, or for `DERIVED` the function of ``map``."""
    takes_lifetime: bool = False
    """Whether the function's first parameter is the `Lifetime`."""
    parameters: tuple[Parameter, ...] = ()
    value: Any = None
    """For `VALUE` the value, for `OBJECT` the object."""
    hooks: Hooks = attrs.field(factory=Hooks)
    enter: bool = False
    """For `FUNCTION`: whether a context manager that it returns is entered (``made_by``)."""

    requires: tuple[int, ...] = ()
    """Indices of the nodes that it requires, in the order given, from parameters and keywords."""
    wants: tuple[int, ...] = ()
    after: tuple[int, ...] = ()

    optional: bool = False
    thread: bool = True
    """Whether sync code runs in a thread of its own rather than on the event loop."""
    on_return: OnReturn = "crash"
    retry: Retry | None = None
    start_timeout: float | None = None
    """Seconds; None: the default of the settings. Likewise the next two."""
    drain_timeout: float | None = None
    stop_timeout: float | None = None
    declared_at: str = ""
    """``file:line``."""

    dependencies: tuple[int, ...] = attrs.field(
        init=False, default=attrs.Factory(_all_edges, takes_self=True)
    )
    """Everything that starts before it and ends after it, each once, in the order given."""
