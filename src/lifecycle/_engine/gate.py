"""The gate of one component, for those who are outside of it."""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from typing_extensions import ParamSpec

from lifecycle._engine.waits_in_threads import WaitInThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle._engine.engine import Engine

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")


class Gate(Generic[T]):
    """The readiness barrier before one component: who comes too early is refused, or waits.

    What is not async may be called from any thread.
    """

    def __init__(self, engine: Engine, component: int) -> None:
        """Made by :meth:`lifecycle.System.gate`."""
        self._engine = engine
        self._component = component

    @property
    def is_open(self) -> bool:
        """Whether the component can be called."""
        return self._engine.gates.is_open(self._component)

    def check(self) -> T:
        """The value of the component.

        Raises:
            NotReadyError: it is not ready yet.
            ClosedError: it has stopped, or will never be ready.
            RunError: it failed; its own error.

        """
        value: T = self._engine.gates.check(self._component)
        return value

    async def wait(self) -> T:
        """Wait until the component is ready, and return its value.

        Raises:
            DeadlockError: the wait could never end: the component waits for the caller.
            ClosedError: it will never be ready, since the system shuts down.
            RunError: it failed; its own error.

        """
        value: T = await self._engine.gates.wait(self._component)
        return value

    def wait_in_thread(self, timeout: float | None = None) -> T:
        """Do the same in a thread that is not the event loop's.

        Args:
            timeout: for how many seconds, on the loop's clock; None: as long as it takes.

        Raises:
            RuntimeError: it was called on the event loop, which it would block.
            NotReadyError: it is still not ready after `timeout`.
            DeadlockError: as `wait`. Likewise ClosedError, RunError.

        """
        engine = self._engine
        if engine.loop.on_its_thread():
            message = "this would block the event loop: use `await gate.wait()` there"
            raise RuntimeError(message)
        wait = WaitInThread(engine, self._component, timeout)
        if engine.keeper.post(wait.begin):
            wait.over.wait()
        if wait.refused is not None:
            raise wait.refused
        return self.check()

    @overload
    def guard(self, function: Callable[P, R], /) -> Callable[P, R]: ...
    @overload
    def guard(self, /, *, wait: bool) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
    def guard(
        self, function: Callable[P, R] | None = None, /, *, wait: bool = False
    ) -> Callable[P, R] | Callable[[Callable[P, R]], Callable[P, R]]:
        """Let a function be called only while the component is ready; a decorator.

        Functions, methods, coroutine functions, and generators of both colours.

        Args:
            function: what is guarded.
            wait: whether a call that comes too early waits; by default it is refused. A sync
                function that is called on the event loop cannot wait, and is refused all the same.

        Returns:
            The same function, behind the gate. It raises as `check`, or `wait`, does.

        """
        if function is None:
            return functools.partial(self._guarded, wait=wait)
        return self._guarded(function, wait=wait)

    def _guarded(self, function: Callable[P, R], *, wait: bool) -> Callable[P, R]:
        given: Any = function
        if inspect.iscoroutinefunction(given):
            guarded = self._guarded_coroutine(given, wait=wait)
        elif inspect.isasyncgenfunction(given):
            guarded = self._guarded_stream(given, wait=wait)
        else:
            guarded = self._guarded_call(given, wait=wait)
        return cast("Callable[P, R]", functools.wraps(given)(guarded))

    def _guarded_coroutine(self, given: Any, *, wait: bool) -> Callable[..., Any]:
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            await self._pass(wait=wait)
            return await given(*args, **kwargs)

        return guarded

    def _guarded_stream(self, given: Any, *, wait: bool) -> Callable[..., Any]:
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            await self._pass(wait=wait)
            async with contextlib.aclosing(given(*args, **kwargs)) as items:
                async for item in items:
                    yield item

        return guarded

    def _guarded_call(self, given: Any, *, wait: bool) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if wait and not self._engine.loop.on_its_thread():
                self.wait_in_thread()
            else:
                self.check()
            return given(*args, **kwargs)

        return guarded

    async def _pass(self, *, wait: bool) -> None:
        if wait:
            await self.wait()
        else:
            self.check()

    def __repr__(self) -> str:
        """Name the component."""
        return f"<Gate of {self._engine.name(self._component)!r}>"
