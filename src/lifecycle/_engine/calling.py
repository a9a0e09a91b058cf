"""Calling what users wrote, whichever colour it has.

This is the one place that knows sync from async. Sync code runs in the component's thread unless
told otherwise; what it returns may still be for the loop to await.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any

import attrs

from lifecycle.errors import InvalidComponentError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    from lifecycle._core.component import Hooks, Node

    InThread: TypeAlias = Callable[[Callable[[], Any]], Awaitable[Any]]
    """How a function is called in a thread of its own."""


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a call gives something to await or to iterate over, and so belongs on the loop."""
    function = _innermost(function)
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _innermost(function: Callable[..., Any]) -> Callable[..., Any]:
    function = inspect.unwrap(function)
    while isinstance(function, functools.partial):
        function = inspect.unwrap(function.func)
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = type(function).__call__
    return function


async def call(
    in_thread: InThread | None, function: Callable[..., Any], *args: object, **kwargs: object
) -> Any:
    """Call a hook, and await what it returns where that is to be awaited.

    Args:
        in_thread: how sync code is called; None: on the loop.
        function: the hook.
        args: what it is called with, and `kwargs`.

    """
    result = await call_only(in_thread, function, *args, **kwargs)
    return await result if inspect.isawaitable(result) else result


async def call_coroutine(function: Callable[..., Any], *args: object, **kwargs: object) -> Any:
    """Call a function on the loop, and await what it returns if that is a coroutine.

    Other awaitables are left alone: a pool or a client may be one, and is what was asked for.
    """
    result = function(*args, **kwargs)
    return await result if inspect.iscoroutine(result) else result


async def call_only(
    in_thread: InThread | None, function: Callable[..., Any], *args: object, **kwargs: object
) -> Any:
    """Call a function, and return what it returns."""
    if in_thread is None or is_async(function):
        return function(*args, **kwargs)
    return await in_thread(functools.partial(function, *args, **kwargs))


# --- lives: what is started and stopped ----------------------------------------------------------


class Value:
    """A value: nothing to stop."""

    spans = False
    """Whether a scope or a group of the user's may be open between its start and its stop."""
    has_stop = False

    def __init__(self, value: object) -> None:
        self.value: Any = value

    async def stop(self, thrown: BaseException | None) -> None:
        """Do nothing."""

    async def discard(self, thrown: BaseException) -> None:
        """Do nothing."""

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

    async def start(self) -> None:
        """Run to the yield."""
        try:
            self.value = await self._generator.__anext__()
        except StopAsyncIteration:
            raise InvalidComponentError(self._name, NO_YIELD) from None

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
        """Unwind it: it has yielded after its start was cancelled."""
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

    async def stop(self, thrown: BaseException | None) -> None:
        """Resume it."""
        del thrown  # a cancellation belongs to the loop; a thread knows nothing of it
        if await self._resume() is not _END:
            await self._call(self._generator.close)
            raise InvalidComponentError(self._name, TWO_YIELDS)

    async def discard(self, thrown: BaseException) -> None:
        """Close it: it has yielded after its start had failed."""
        del thrown
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

    async def stop(self, thrown: BaseException | None) -> None:
        """Call the stop hook."""
        del thrown
        if self._stop is not None:
            await call(self._in_thread, self._stop)


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
NO_HOOKS = (
    "is {kind!r}, which has no hooks: neither start or stop methods, nor is it a context manager. "
    "Give `start=` or `stop=`; a bare value is declared with `value(…)`"
)


@attrs.frozen(eq=False)
class ObjectHooks:
    """The hooks of an object that was added or built; all are called without arguments."""

    start: Callable[[], Any] | None = None
    stop: Callable[[], Any] | None = None
    drain: Callable[[], Any] | None = None
    manager: bool = False
    """Whether it is entered and left as an async context manager."""
    sync_manager: bool = False


def hooks_of(name: str, value: Any, hooks: Hooks) -> ObjectHooks:
    """What the life of an object consists of, in the order of the design.

    Hooks that were given; methods ``start`` and ``stop``; an async context manager; a sync one. The
    first of these that gives a start or a stop is the whole of it.

    Raises:
        InvalidComponentError: it has none of these, or a method that needs arguments.

    """

    def bound(hook: Callable[..., Any] | None) -> Callable[[], Any] | None:
        if hook is None:
            return None
        return functools.partial(hook, value) if hooks.take_value else hook

    def method(which: str) -> Callable[[], Any] | None:
        found = getattr(value, which, None)
        if not callable(found):
            return None
        check_callable_without_arguments(name, which, found)
        return found  # type: ignore[no-any-return]

    drain = bound(hooks.drain)
    if drain is None:
        drain = method("drain")
    if hooks.start is not None or hooks.stop is not None:
        return ObjectHooks(bound(hooks.start), bound(hooks.stop), drain)
    start, stop = method("start"), method("stop")
    if start is not None or stop is not None:
        return ObjectHooks(start, stop, drain)
    if isinstance(value, contextlib.AbstractAsyncContextManager):
        return ObjectHooks(drain=drain, manager=True)
    if isinstance(value, contextlib.AbstractContextManager):
        return ObjectHooks(drain=drain, sync_manager=True)
    raise InvalidComponentError(name, NO_HOOKS.format(kind=type(value).__name__))


def check_callable_without_arguments(name: str, which: str, hook: Callable[..., Any]) -> None:
    """Refuse a hook that needs arguments before it is too late to say so.

    Raises:
        InvalidComponentError: it does.

    """
    try:
        signature = inspect.signature(hook)
    except (TypeError, ValueError):  # builtins may have none
        return
    try:
        signature.bind()
    except TypeError as error:
        reason = (
            f"has a {which!r} that cannot be called without arguments ({error}). Give the hook "
            f"yourself, with `build({which}=lambda value: …)` or `add(…, {which}=…)`"
        )
        raise InvalidComponentError(name, reason) from None


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


def manager_life(
    name: str, value: Any, in_thread: InThread | None
) -> AsyncLife | ThreadLife | None:
    """The life of a context manager; None where it is not one."""
    if isinstance(value, contextlib.AbstractAsyncContextManager):
        return AsyncLife(name, entered(value))
    if isinstance(value, contextlib.AbstractContextManager):
        return ThreadLife(name, entered_sync(value), in_thread)
    return None


async def function_life(node: Node, in_thread: InThread | None, result: Any) -> Value:
    """Start the life that a component function's result is.

    Raises:
        InvalidComponentError: it is not one.

    """
    if inspect.iscoroutine(result):
        result = await result
    if isinstance(result, AsyncGenerator):
        life = AsyncLife(node.name, result)
        await life.start()
        return life
    if isinstance(result, Generator):
        sync_life = ThreadLife(node.name, result, in_thread)
        await sync_life.start()
        return sync_life
    if node.enter:
        entering = manager_life(node.name, result, in_thread)
        if entering is not None:
            await entering.start()
            return entering
    if isinstance(result, _MADE_BY_CONTEXTLIB):
        raise InvalidComponentError(node.name, MANAGER)
    return Value(result)
