"""What a component's start leaves behind to be stopped: a generator, an object, or a bare value."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncGenerator, Generator
from types import AsyncGeneratorType, GeneratorType
from typing import TYPE_CHECKING, Any

from lifecycle._engine import calling
from lifecycle.errors import InvalidComponentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle._core.component import Node
    from lifecycle._engine.calling import InThread

_END = object()

# What @contextmanager and @asynccontextmanager make; there is no public name for it.
_MADE_BY_CONTEXTLIB = (
    contextlib._GeneratorContextManager,  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    contextlib._AsyncGeneratorContextManager,  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
)

NO_YIELD = "ended without a yield. A generator component yields its value once it is ready"
TWO_YIELDS = (
    "yielded more than once. Up to its one yield a generator component starts, after it it stops; "
    "what takes no new work and finishes what is in flight is a hook of its own: @component.drain"
)
MANAGER = (
    "gives what @contextmanager or @asynccontextmanager made. Remove that decorator: `component` "
    "takes the bare generator; or declare it with `build`, which enters context managers"
)


class Value:
    """A value: nothing to stop."""

    spans = False
    """Whether a scope or a group of the user's may be open between its start and its stop."""
    has_stop = False

    def __init__(self, value: object) -> None:
        self.value: Any = value

    @property
    def stop_function(self) -> Callable[..., Any]:
        """What is called at the stop, as far as it tells sync from async."""
        return self.stop

    async def start(self) -> None:
        """Do nothing."""

    async def stop(self, thrown: BaseException | None) -> None:
        """Do nothing."""

    async def discard(self, thrown: BaseException) -> None:
        """Unwind what has begun, although it is taken for a failed start."""

    @property
    def awaited(self) -> Any:
        """What is being awaited, for a stack."""
        return None


class AsyncLife(Value):
    """An async generator: up to its yield it starts, after it it stops."""

    spans = True
    has_stop = True

    def __init__(self, name: str, generator: AsyncGenerator[Any, Any]) -> None:
        super().__init__(None)
        self._name = name
        self._generator = generator
        self._has_yielded = False

    async def start(self) -> None:
        """Run to the yield."""
        try:
            self.value = await self._generator.__anext__()
        except StopAsyncIteration:
            raise InvalidComponentError(self._name, NO_YIELD) from None
        self._has_yielded = True

    async def stop(self, thrown: BaseException | None) -> None:
        """Resume it; what arrived meanwhile is thrown into it."""
        try:
            if thrown is None:
                await self._generator.__anext__()
            else:
                await self._generator.athrow(thrown)
        except StopAsyncIteration:
            return
        await self._generator.aclose()
        raise InvalidComponentError(self._name, TWO_YIELDS)

    async def discard(self, thrown: BaseException) -> None:
        """Unwind it, where it has yielded although its start is taken for failed."""
        if self._has_yielded:
            await self.stop(thrown)

    @property
    def awaited(self) -> Any:
        return self._generator


class ThreadLife(Value):
    """A generator, run in the component's thread (None: on the loop)."""

    has_stop = True

    def __init__(
        self, name: str, generator: Generator[Any, Any, Any], in_thread: InThread | None
    ) -> None:
        super().__init__(None)
        self._name = name
        self._generator = generator
        self._in_thread = in_thread

    async def start(self) -> None:
        """Run to the yield."""
        self.value = await self._resume()
        if self.value is _END:
            raise InvalidComponentError(self._name, NO_YIELD)

    @property
    def stop_function(self) -> Callable[..., Any]:
        return self._generator.__next__

    async def stop(self, thrown: BaseException | None) -> None:
        """Resume it."""
        del thrown  # a cancellation belongs to the loop; a thread knows nothing of it
        if await self._resume() is not _END:
            await self._call(self._generator.close)
            raise InvalidComponentError(self._name, TWO_YIELDS)

    async def discard(self, thrown: BaseException) -> None:
        """Close it, where it has yielded although its start is taken for failed."""
        del thrown  # nothing happens where it has ended
        await self._call(self._generator.close)

    async def _resume(self) -> Any:
        return await self._call(functools.partial(next, self._generator, _END))

    async def _call(self, function: Callable[[], Any]) -> Any:
        return function() if self._in_thread is None else await self._in_thread(function)


class ObjectLife(Value):
    """An object with a stop hook, or none."""

    def __init__(
        self, value: object, stop: Callable[[], Any] | None, in_thread: InThread | None
    ) -> None:
        super().__init__(value)
        self._stop = stop
        self._in_thread = in_thread
        self.has_stop = stop is not None

    @property
    def stop_function(self) -> Callable[..., Any]:
        return self.stop if self._stop is None else self._stop

    async def stop(self, thrown: BaseException | None) -> None:
        """Call the stop hook."""
        del thrown
        if self._stop is not None:
            await calling.call(self._in_thread, self._stop)


async def entered(
    manager: contextlib.AbstractAsyncContextManager[Any],
) -> AsyncGenerator[Any, None]:
    """An async context manager, as the generator that it could have been."""
    async with manager as value:
        yield value


def entered_sync(manager: contextlib.AbstractContextManager[Any]) -> Generator[Any, None, None]:
    """A sync context manager, as the generator that it could have been."""
    with manager as value:
        yield value


def of_manager(name: str, value: Any, in_thread: InThread | None) -> AsyncLife | ThreadLife | None:
    """The life of a context manager; None where it is not one."""
    given = value  # kept as it is typed: narrowing to a generic class would lose its arguments
    if isinstance(value, contextlib.AbstractAsyncContextManager):
        return AsyncLife(name, entered(given))
    if isinstance(value, contextlib.AbstractContextManager):
        return ThreadLife(name, entered_sync(given), in_thread)
    return None


def of_function(node: Node, in_thread: InThread | None, result: Any) -> Value:
    """The life that a component function's result is; it is yet to be started.

    Raises:
        InvalidComponentError: it is not one.

    """
    given = result  # kept as it is typed: narrowing to a generic class would lose its arguments
    # The types first: to ask an abstract class takes longer.
    if isinstance(result, (AsyncGeneratorType, AsyncGenerator)):
        return AsyncLife(node.name, given)
    if isinstance(result, (GeneratorType, Generator)):
        return ThreadLife(node.name, given, in_thread)
    if node.enter:
        entering = of_manager(node.name, result, in_thread)
        if entering is not None:
            return entering
    if isinstance(result, _MADE_BY_CONTEXTLIB):
        raise InvalidComponentError(node.name, MANAGER)
    return Value(result)
