"""The outermost interceptor of an asynchronous server: what is let in, counted, and cut off."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from typing import TYPE_CHECKING, Any

import anyio
import grpc
import grpc.aio

from lifecycle.errors import ClosedError, NotReadyError, WorkCancelledError
from lifecycle.integrations._contained import contained, contained_function
from lifecycle.integrations.grpc._calls import HEALTH
from lifecycle.integrations.grpc._handlers import behavior_of, with_behavior
from lifecycle.integrations.grpc._refusals import (
    CUT_OFF,
    RefusedError,
    abort,
    not_ready,
    refusing,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping

    from lifecycle.integrations.grpc._calls import Calls
    from lifecycle.integrations.grpc._handlers import Handler

    Context = grpc.aio.ServicerContext[Any, Any]
    Behavior = Callable[[Any, Context], Awaitable[Any]]


class Admission(grpc.aio.ServerInterceptor):
    """Asked first of all, before the request of a call is read."""

    def __init__(self, calls: Calls, health: Mapping[str, Handler]) -> None:
        """Let calls in.

        Args:
            calls: where they are counted.
            health: the health service, by the method: it is answered past all interceptors of the
                user's, since who probes has no credentials.

        """
        self._calls = calls
        self._health = health
        self._tasks: set[asyncio.Task[Any]] = set()

    async def ended(self) -> None:
        """Wait for the tasks of all calls, also of those that are no work."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        # One turn more, in which the task ends that gRPC has beside each of these.
        await anyio.lowlevel.checkpoint()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Find what handles a call."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  gRPC has one for each call
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        method = handler_call_details.method
        if method in self._health:
            return self._health[method]
        if method.startswith(HEALTH):
            return await continuation(handler_call_details)
        rpc = _Rpc(task)
        try:
            call = self._calls.take(method, rpc.cut)
        except RefusedError as refused:
            return refusing(str(refused))
        # When this task has ended, the last byte was handed over. When the handler has, it was not:
        # where the server was stopped then, 24 of 160 replies of 3 MB were lost.
        task.add_done_callback(lambda _: call.end())
        with contained("an interceptor"):
            handler = await continuation(handler_call_details)
        return None if handler is None else rpc.handled_by(handler)


class _Rpc:
    """One call, in the task that gRPC has for it."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task
        self._scope: anyio.CancelScope | None = None
        self._is_in_thread = False

    def cut(self) -> None:
        """Its time is over."""
        if self._scope is not None:
            self._scope.cancel()
        elif not self._is_in_thread:
            # It is being received, or its reply sent: nobody is there who could say a last word.
            self._task.cancel()

    def handled_by(self, handler: Handler) -> Handler:
        """Put what cuts it off around a handler."""
        behavior = behavior_of(handler)
        # These are the questions that gRPC asks, too.
        if inspect.isasyncgenfunction(behavior):
            return with_behavior(handler, self._around(_writing(behavior)))
        if inspect.iscoroutinefunction(behavior):
            return with_behavior(handler, self._around(behavior))
        # gRPC calls it in a thread, which nothing can interrupt; what it raises, it raises in here.
        self._is_in_thread = True
        is_stream = bool(handler.response_streaming)
        return with_behavior(
            handler, contained_function("a handler", behavior, is_stream=is_stream)
        )

    def _around(self, behavior: Behavior) -> Behavior:
        async def respond(request: Any, context: Context) -> Any:
            why = CUT_OFF
            try:
                with self._cuttable(), contained("a handler"):
                    return await behavior(request, context)
            except WorkCancelledError:
                pass  # a piece of it was held for itself, and cut off with it
            except (NotReadyError, ClosedError) as error:
                why = not_ready(error)
            if not context.done():
                await abort(context, why)
            return None

        return respond

    @contextlib.contextmanager
    def _cuttable(self) -> Generator[None]:
        """Cut off what runs meanwhile when the time is over, and swallow that."""
        with anyio.CancelScope() as scope:
            self._scope = scope
            try:
                yield
            finally:
                self._scope = None


def _writing(behavior: Callable[[Any, Context], AsyncGenerator[Any]]) -> Behavior:
    """Let an async generator answer by gRPC's other way: so it is closed where it ran."""

    async def respond(request: Any, context: Context) -> None:
        async with contextlib.aclosing(behavior(request, context)) as responses:
            async for response in responses:
                await context.write(response)

    return respond
