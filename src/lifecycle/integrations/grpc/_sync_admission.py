"""The outermost interceptor of a synchronous server: what is let in, and counted.

Nothing can interrupt a thread: what is left when the time to drain is over goes on, and only its
client is told.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import sys
import threading
import traceback
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

import grpc

from lifecycle.errors import ClosedError, NotReadyError
from lifecycle.integrations._contained import contained_function, contained_in_thread
from lifecycle.integrations.grpc._calls import HEALTH
from lifecycle.integrations.grpc._handlers import behavior_of, with_behavior
from lifecycle.integrations.grpc._refusals import (
    SHUTTING_DOWN,
    RefusedError,
    abort_sync,
    not_ready,
    refusing_sync,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from concurrent.futures import ThreadPoolExecutor

    from anyio.from_thread import BlockingPortal

    from lifecycle.integrations.grpc._calls import Call, Calls
    from lifecycle.integrations.grpc._handlers import Handler

_FRAMES = 5
"""How much of a stack is shown: the innermost frames."""


class SyncAdmission(grpc.ServerInterceptor):
    """Asked first of all, in gRPC's one thread for that, and under its lock: it never waits."""

    def __init__(
        self,
        calls: Calls,
        health: Mapping[str, Handler],
        portal: BlockingPortal,
        threads: ThreadPoolExecutor,
    ) -> None:
        """Let calls in.

        Args:
            calls: where they are counted.
            health: the health service, by the method: it is answered past all interceptors of the
                user's, since who probes has no credentials.
            portal: the way to the event loop, where calls are counted.
            threads: those that calls are refused in, however busy the others are.

        """
        self._calls = calls
        self._health = health
        self._portal = portal
        self._threads = threads
        self.context = contextvars.Context()
        """That of the component's start, as it is in a thread: handlers see what it has set."""

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Find what handles a call."""
        method = handler_call_details.method
        if method in self._health:
            return self._health[method]
        if method.startswith(HEALTH):
            return continuation(handler_call_details)
        why = self._calls.why_refused()
        if why is not None:
            return refusing_sync(why, self._threads)
        with contained_in_thread("an interceptor"):
            handler = continuation(handler_call_details)
        return None if handler is None else self._counted(method, handler)

    def _counted(self, method: str, handler: Handler) -> Handler:
        """Put what counts it around a handler."""
        is_stream = bool(handler.response_streaming)
        behavior = contained_function("a handler", behavior_of(handler), is_stream=is_stream)

        @functools.wraps(behavior)
        def respond(request: Any, context: grpc.ServicerContext, *more: Any) -> Any:
            rpc = _Rpc(self._take(method, context), self._portal)
            if not context.add_callback(rpc.one_ended):
                rpc.one_ended()
            with contextlib.ExitStack() as around:
                around.callback(rpc.one_ended)
                around.enter_context(_saying_what_is_not_ready(context))
                self._hand_down()
                responses = behavior(request, context, *more)
                if is_stream and responses is not None:
                    return _iterate(responses, around.pop_all())
                return responses

        return with_behavior(handler, respond)

    def _hand_down(self) -> None:
        """Let the handler see what the component's start has set, ``Lifetime.current()`` too.

        gRPC has a context for each call, all of whose steps run in it. It is empty but for what
        interceptors have set there, and that counts.
        """
        present = contextvars.copy_context()
        for variable, value in self.context.items():
            if variable not in present:
                variable.set(value)

    def _take(self, method: str, context: grpc.ServicerContext) -> Call:
        where = functools.partial(_where_is, threading.get_ident())
        try:
            # Counted on the loop, so that no drain ends in between.
            return self._portal.call(functools.partial(self._calls.take, method, where=where))
        except RefusedError as refused:
            abort_sync(context, str(refused))
        except (CancelledError, RuntimeError):  # the way to the event loop is closed
            abort_sync(context, SHUTTING_DOWN)


class _Rpc:
    """One call: it has ended when its thread has, and its last byte was sent, whichever is last."""

    def __init__(self, call: Call, portal: BlockingPortal) -> None:
        self._call = call
        self._portal = portal
        self._left = 2
        self._lock = threading.Lock()

    def one_ended(self) -> None:
        """Either its thread has ended, or its last byte was sent."""
        with self._lock:
            self._left -= 1
            if self._left:
                return
        with contextlib.suppress(RuntimeError):  # nobody waits for it any more
            self._portal.start_task_soon(self._call.end)


def _iterate(responses: Iterable[Any], around: contextlib.ExitStack) -> Iterator[Any]:
    with around:
        yield from responses


@contextlib.contextmanager
def _saying_what_is_not_ready(context: grpc.ServicerContext) -> Generator[None]:
    try:
        yield
    except (NotReadyError, ClosedError) as error:
        abort_sync(context, not_ready(error))


def _where_is(thread: int) -> str:
    """Say where a thread is, as a traceback."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001  documented  # pyright: ignore[reportPrivateUsage]
    if frame is None:
        return ""
    return f" in its thread, at\n{''.join(traceback.format_stack(frame, _FRAMES))}"
