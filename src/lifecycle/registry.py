"""Where components are declared: data, of which nothing runs.

A registry lives as long as the module that it is declared in. What is made of it, a plan, is a
snapshot: what is declared later is in the next plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from lifecycle._core.declaration import (
    Change,
    Contents,
    Inclusion,
    Kept,
    LeftOut,
    NoPreflight,
    Preflight,
    Replaced,
    Where,
)
from lifecycle.component import Override, Ref, as_ref
from lifecycle.verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle._core.plan import Plan
    from lifecycle.component import Component
    from lifecycle.settings import Settings

P = TypeVar("P", bound="Callable[[], object]")


class Registry(Verbs):
    """Declares components, includes other registries, and makes a plan of it all."""

    def __init__(self, name: str) -> None:
        """Nothing is declared yet.

        Args:
            name: what messages call it.

        Raises:
            TypeError: `name` is not a text.

        """
        if not isinstance(cast("object", name), str):
            message = f"Registry() takes a text as name, not {name!r}"
            raise TypeError(message)
        self._contents = Contents(name)

    def __copy__(self) -> NoReturn:
        self._refuse_to_be_copied()

    def __deepcopy__(self, _: object) -> NoReturn:
        self._refuse_to_be_copied()

    def _refuse_to_be_copied(self) -> NoReturn:
        message = (
            f"{self!r} cannot be copied so: what it declares is known by its handles. `without()` "
            "gives a copy that can be changed"
        )
        raise TypeError(message)

    def __repr__(self) -> str:
        return f"<Registry {self.name!r}>"

    @property
    def name(self) -> str:
        """What messages call it."""
        return self._contents.name

    # --- other parts ---------------------------------------------------------------------------

    def include(self, registry: Registry, /, *, prefix: str | None = None) -> None:
        """Make another registry a part of this one: all that it holds when a plan is made.

        Args:
            registry: the other one; by however many paths it is reached, it is one.
            prefix: what its names begin with: with ``"billing"`` they are ``billing.invoices``, …

        Raises:
            TypeError: `registry` is not a registry, or `prefix` is not a text.
        """
        if not isinstance(cast("object", registry), Registry):
            message = f"include() takes a Registry, not {registry!r}"
            raise TypeError(message)
        if not isinstance(cast("object", prefix), (str, type(None))):
            message = f"include() takes a text as prefix, not {prefix!r}"
            raise TypeError(message)
        inclusion = Inclusion(registry._contents, Where.of_caller(), prefix or "")
        self._contents.items.append(inclusion)

    def preflight(self, check: P, /) -> P:
        """Declare a check that runs before the first component; if it fails, nothing is started.

        Args:
            check: called without arguments; may be async. See :mod:`lifecycle.preflight`. One that
                has to end something when a shutdown cuts it off, a process say, is an object that
                says by a number `unwinds_in` how many seconds that takes; else it is left behind
                after 0.5 s.

        Returns:
            `check`, so that this can be used as a decorator.
        """
        self._contents.items.append(Preflight(check, Where.of_caller()))
        return check

    @classmethod
    def of(cls, component: Component[Any]) -> Registry:
        """The registry that a component was declared in.

        Args:
            component: its handle.
        """
        home: Contents = component._declaration.home  # noqa: SLF001  the two are one façade  # pyright: ignore[reportPrivateUsage]
        registry = cls(home.name)
        registry._contents = home
        return registry

    # --- the plan, and changed copies ----------------------------------------------------------

    def plan(self, settings: Settings | None = None) -> Plan:
        """Check all that was declared, and freeze it. No hook is called.

        Args:
            settings: what the durations of the plan are worked out with; by default ``Settings()``.

        Raises:
            DefinitionError: something is wrong; the first that was found, with the others as notes.
            TypeError: the settings are something else.
        """
        # What only declares needs none of this.
        from lifecycle._planning.planner import make_plan  # noqa: PLC0415
        from lifecycle.settings import given_settings  # noqa: PLC0415

        return make_plan(self._contents, given_settings(settings, "plan()"))

    def override(self, *overrides: Override) -> Registry:
        """Make a changed copy, in which some components are what they are replaced by.

        What is declared in the original later is seen in the copy; not the other way round.

        Args:
            *overrides: ``database.to(FakePool())``, ``redis.made_by(fake_redis)``. What is
                overridden loses its dependencies, checks and hooks.

        Raises:
            TypeError: one of them is something else.
        """
        for override in overrides:
            if not isinstance(cast("object", override), Override):
                takes = "override() takes component.to(…) or component.made_by(…)"
                message = f"{takes}, not {override!r}"
                raise TypeError(message)
        pairs = tuple((override.component, override.declaration) for override in overrides)
        return self._copy(Replaced(pairs))

    def only(self, *components: Ref) -> Registry:
        """Make a changed copy with these components and what they require, directly or not.

        What they only want is absent. Preflight checks stay.

        Args:
            *components: handles or names.

        Raises:
            TypeError: one of them is something else.
        """
        return self._copy(Kept(tuple(as_ref(ref, "only()") for ref in components)))

    def without(self, *components: Ref) -> Registry:
        """Make a changed copy in which these components are absent.

        Args:
            *components: handles or names.

        Raises:
            TypeError: one of them is something else.
        """
        return self._copy(LeftOut(tuple(as_ref(ref, "without()") for ref in components)))

    def without_preflight(self) -> Registry:
        """Make a changed copy without preflight checks."""
        return self._copy(NoPreflight())

    def _copy(self, change: Change) -> Registry:
        copy = Registry(self.name)
        original = Inclusion(self._contents, Where.of_caller(), change=change)
        copy._contents.items.append(original)
        return copy
