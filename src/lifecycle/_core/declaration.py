"""What users have declared, as they said it: data that nothing has checked or resolved yet."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle._core.component import Kind

Relation = Literal["requires", "wants", "requires_all"]
HookName = Literal["start", "drain", "stop", "check"]


@attrs.frozen(eq=False)
class Where:
    """A place in the user's source."""

    file: str = "<unknown>"
    line: int = 0

    @classmethod
    def of_caller(cls) -> Where:
        """Find the first caller that is not part of `lifecycle` itself."""
        frame = inspect.currentframe()
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            if module != "lifecycle" and not module.startswith("lifecycle."):
                return cls(frame.f_code.co_filename, frame.f_lineno)
            frame = frame.f_back
        return cls()


@attrs.frozen(eq=False, repr=False)
class Mark:
    """What stands as the default of a parameter that is filled from other components."""

    relation: Relation
    refs: tuple[Any, ...]
    """Handles and names."""
    default: object = None
    """For `wants`: what is passed where there is nothing."""

    def __repr__(self) -> str:
        names = ", ".join(repr(getattr(ref, "name", ref)) for ref in self.refs)
        return f"<{self.relation}({names})>"


@attrs.frozen(eq=False)
class GivenHook:
    """A hook that was named by the user."""

    which: HookName
    function: Any
    takes_value: bool
    """Whether it is called with the component's value, or without arguments."""
    liveness: bool = False
    """For `check`: whether its failure means that the process can do no work any more."""
    where: Where = attrs.field(factory=Where)


@attrs.define(eq=False)
class Declaration:
    """One component, as it was declared."""

    home: Contents
    """The registry that it was declared in."""
    kind: Kind
    name: Any
    where: Where
    function: Any = None
    value: Any = None
    """For `VALUE` the value, for `OBJECT` the object."""
    source: Any = None
    """For `DERIVED`: the handle whose value it is made from."""
    enter: bool = False
    """For `FUNCTION`: whether a context manager that it returns is entered (``made_by``)."""
    hooks: list[GivenHook] = attrs.field(factory=list[GivenHook])
    options: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    handle: Any = None
    """The `Component` that the user holds."""


@attrs.frozen(eq=False)
class Preflight:
    """A check that runs before the first component."""

    check: Callable[[], Any]
    where: Where


@attrs.frozen(eq=False)
class Replaced:
    """A change: some components are made in another way."""

    overrides: tuple[tuple[Any, Declaration], ...]
    """Handles, and what stands in for what they were declared as."""


@attrs.frozen(eq=False)
class Kept:
    """A change: only these stay, and what they require."""

    refs: tuple[Any, ...]


@attrs.frozen(eq=False)
class LeftOut:
    """A change: these go."""

    refs: tuple[Any, ...]


@attrs.frozen(eq=False)
class NoPreflight:
    """A change: the preflight checks go."""


Change: TypeAlias = Replaced | Kept | LeftOut | NoPreflight


@attrs.frozen(eq=False)
class Inclusion:
    """Another registry, as a part of this one."""

    contents: Contents
    where: Where
    prefix: str = ""
    change: Change | None = None
    """In a changed copy, the one thing that it has to begin with is the original and its change."""


Item: TypeAlias = Declaration | Preflight | Inclusion


@attrs.define(eq=False)
class Contents:
    """Everything that was declared in one registry, in order."""

    name: str
    items: list[Item] = attrs.field(factory=list[Item])
