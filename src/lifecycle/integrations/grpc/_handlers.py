"""What handles a call, and how it is replaced by something that does more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import grpc

if TYPE_CHECKING:
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]

# By whether the request is a stream, and whether the response is.
_KINDS = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}


def behavior_of(handler: Handler) -> Any:
    """Give the function that handles a call, of whichever kind."""
    name, _ = _KINDS[_kind_of(handler)]
    return getattr(handler, name)


def with_behavior(handler: Handler, behavior: Any) -> Handler:
    """Make a handler of the same kind, with another function."""
    _, make = _KINDS[_kind_of(handler)]
    return make(behavior, handler.request_deserializer, handler.response_serializer)


def _kind_of(handler: Handler) -> tuple[bool, bool]:
    return bool(handler.request_streaming), bool(handler.response_streaming)
