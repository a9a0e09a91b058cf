"""A system as a component of another one.

::

    @shop.build(drain_timeout=20)
    def tenants(pool: Pool = requires(pool)) -> Nested:
        return nested(registry_of(pool))                # made of what is known only now

``shop.include(…)`` puts together what is known before anything runs: one graph, with one budget.
This is for what a component finds out. Its value is a :class:`lifecycle.System`.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from lifecycle._engine.nested import Nested as Run
from lifecycle._engine.system import System
from lifecycle.embedded import to_run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from lifecycle._core.plan import Plan
    from lifecycle._engine.companions import Companion
    from lifecycle.events import Observer
    from lifecycle.registry import Registry
    from lifecycle.settings import Settings

__all__ = ["Nested", "nested"]


def nested(
    registry: Registry | Plan,
    settings: Settings | None = None,
    *,
    companions: Sequence[Companion] = (),
    observers: Sequence[Observer] = (),
) -> Nested:
    """Make a system a component of another one, for ``add`` and ``build``.

    It starts, drains and closes as the component does, in the time that this has: its own grace
    period is only for what goes wrong in it. When the component drains, everything in it drains;
    it is closed when the component is stopped. When something in it crashes, or it ends by itself,
    the component has crashed.

    Args:
        registry: what to run, or a plan of it.
        settings: the numbers; by default ``Settings()``.
        companions: what accompanies it, as for :func:`lifecycle.running`.
        observers: what is told every event of it.

    Raises:
        DefinitionError: what was declared, or a setting, cannot work.
        TypeError: one of these is something else.

    """
    return Nested(*to_run("nested()", registry, settings, companions, observers))


class Nested(AbstractAsyncContextManager[System]):
    """A system with a life: an async context manager with a ``drain`` and a ``check``."""

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        companions: Sequence[Companion],
        observers: Sequence[Observer],
    ) -> None:
        """Made by :func:`nested`."""
        self._plan = plan
        self._settings = settings
        self._companions = companions
        self._observers = observers
        self._is_entered = False
        self._run: Run | None = None
        """Its run, while that is up."""

    async def __aenter__(self) -> System:
        """Start everything.

        Raises:
            RuntimeError: it runs already, or is entered outside of a component.
            RunError: something did not start.

        """
        if self._is_entered:
            message = f"{self!r} runs already"
            raise RuntimeError(message)
        try:
            run = Run(self._plan, self._settings, self._companions, self._observers)
        except LookupError:
            message = (
                f"{self!r} is for `add` and `build`, and no hook of a component is running here; "
                "anywhere else a system is run by `lifecycle.running(…)`"
            )
            raise RuntimeError(message) from None
        self._is_entered = True
        try:
            system = await run.__aenter__()
        except BaseException:
            self._is_entered = False
            raise
        self._run = run
        return system

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Close everything.

        Raises:
            RuntimeError: it was not entered.
            RunError: something went wrong.

        """
        run, self._run = self._run, None
        if run is None:
            message = f"{self!r} does not run, and cannot be left"
            raise RuntimeError(message)
        try:
            return await run.__aexit__(kind, error, traceback)
        finally:
            self._is_entered = False

    async def drain(self) -> None:
        """Drain everything, and close nothing yet."""
        if self._run is not None:
            await self._run.drain()

    async def check(self) -> bool:
        """Whether it is ready, and all its checks pass."""
        if self._run is None:
            return False
        system = self._run.engine.system
        checked = await system.check()
        optional = {node.name for node in system.plan.components if node.optional}
        passed = all(
            one.ok for name, all_ in checked.items() if name not in optional for one in all_
        )
        return passed and system.status().ready

    def __repr__(self) -> str:
        return f"<Nested {self._plan.name!r}>"
