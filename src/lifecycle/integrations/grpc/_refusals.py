"""What a call that is not taken, or not finished, is told: ``UNAVAILABLE``, so ask again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

import grpc
import grpc.aio

from lifecycle.errors import NotReadyError

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from lifecycle.errors import ClosedError

SHUTTING_DOWN: Final = "the service is shutting down"
CUT_OFF: Final = "the service is shutting down, and the time for this call is over"

_AGAIN: Final = (("grpc-retry-pushback-ms", "1000"),)
"""When clients that retry are to do it: by then another replica can answer."""


class RefusedError(Exception):
    """A call is not taken; the text is for its client, and holds no secrets."""


def not_ready(error: NotReadyError | ClosedError) -> str:
    """Say for a call what it has run into; nothing else of the error gets out."""
    if isinstance(error, NotReadyError):
        return f"the service is not ready: {error.component!r} is {error.state}"
    return SHUTTING_DOWN


async def abort(context: grpc.aio.ServicerContext[Any, Any], why: str) -> NoReturn:
    """End a call of an asynchronous server."""
    await context.abort(grpc.StatusCode.UNAVAILABLE, why, _AGAIN)
    raise AssertionError  # pragma: no cover  it has raised


def abort_sync(context: grpc.ServicerContext, why: str) -> NoReturn:
    """End a call of a synchronous server, in its thread."""
    context.set_trailing_metadata(_AGAIN)
    context.abort(grpc.StatusCode.UNAVAILABLE, why)
    raise AssertionError  # pragma: no cover  it has raised


def refusing(why: str) -> grpc.RpcMethodHandler[Any, Any]:
    """Handle a call of an asynchronous server by refusing it, whatever its kind is.

    As a stream, since then nobody waits for its request.
    """

    async def refuse(_: object, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await abort(context, why)

    return grpc.stream_stream_rpc_method_handler(refuse)


def refusing_sync(why: str, threads: ThreadPoolExecutor) -> grpc.RpcMethodHandler[Any, Any]:
    """Do the same for a synchronous server, in threads that nothing else keeps busy."""

    def refuse(_: object, context: grpc.ServicerContext) -> NoReturn:
        abort_sync(context, why)

    behavior: Any = refuse
    behavior.experimental_thread_pool = threads  # gRPC looks for it
    return grpc.stream_stream_rpc_method_handler(behavior)
