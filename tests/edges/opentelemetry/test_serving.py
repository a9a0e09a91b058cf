"""What is served is no part of the start in which the serving began."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import grpc
import httpx
import pytest
from opentelemetry import trace
from temporalio import activity

import lifecycle
from lifecycle import Registry, requires
from lifecycle.integrations import grpc as lifecycle_grpc
from lifecycle.integrations import opentelemetry, temporal
from tests.edges.grpc.services import GENEROUS, add_service
from tests.edges.servers.kit import ON_EACH, server
from tests.edges.temporal.frontend import InThread, serving
from tests.edges.temporal.kit import QUEUE, outcome_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import TracerProvider
    from temporalio.client import Client

    from tests.edges.opentelemetry.kit import Traces


@activity.defn
async def greet(name: str) -> str:
    """Greet, and say so where traces are kept."""
    with trace.get_tracer("test", tracer_provider=kept.get()).start_as_current_span("(call)"):
        return f"hello {name}"


kept: ContextVar[TracerProvider] = ContextVar("kept")


def call_twice(traces: Traces, backend: str, web: Any, call: Callable[[], object]) -> None:
    """Serve with traces, and call it twice."""
    shop = Registry("shop")
    shop.add(web, name="web")
    options = {"use_uvloop": True} if backend == "uvloop" else {}

    async def main() -> None:
        tracing = opentelemetry.tracing(traces.provider)
        async with lifecycle.running(shop, companions=[tracing]):
            await anyio.to_thread.run_sync(call)
            await anyio.to_thread.run_sync(call)

    loop = "trio" if backend == "trio" else "asyncio"
    anyio.run(main, backend=loop, backend_options=options)


def roots(traces: Traces) -> list[str]:
    """The first spans of all traces."""
    assert len({span.context.trace_id for span in traces.spans if span.context}) == 4
    return sorted(span.name for span in traces.spans if span.parent is None)


EACH_OF_ITS_OWN = ["(call)", "(call)", "shut down shop", "start shop"]


@pytest.mark.parametrize(("name", "backend"), ON_EACH)
def test_a_request(traces: Traces, name: str, backend: str) -> None:
    """Its trace is that of who has sent it, or its own."""
    tracer = traces.provider.get_tracer("test")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del receive
        assert scope["type"] == "http"
        with tracer.start_as_current_span("(call)"):
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

    web = server(name, app, lifespan="off")
    call_twice(traces, backend, web, lambda: httpx.get(web.url, timeout=GENEROUS))

    assert EACH_OF_ITS_OWN == roots(traces)


@pytest.mark.parametrize("kind", ["async", "sync in async", "sync", "sync on trio"])
def test_a_call(traces: Traces, kind: str) -> None:
    """Likewise over gRPC."""
    tracer = traces.provider.get_tracer("test")

    def sync_reply(request: bytes, context: object) -> bytes:
        del context
        with tracer.start_as_current_span("(call)"):
            return request

    async def reply(request: bytes, context: object) -> bytes:
        return sync_reply(request, context)

    def register(server: Any) -> None:
        add_service(server, {"Take": ("unary", reply if kind == "async" else sync_reply)})

    make: Any = lifecycle_grpc.server if "async" in kind else lifecycle_grpc.sync_server
    web = make(register, address="127.0.0.1:0")

    def call() -> None:
        with grpc.insecure_channel(web.target) as channel:
            take: Any = channel.unary_unary("/shop.Orders/Take")
            take(b"1", timeout=GENEROUS)

    call_twice(traces, "trio" if "trio" in kind else "asyncio", web, call)

    assert EACH_OF_ITS_OWN == roots(traces)


def test_an_activity(traces: Traces) -> None:
    """Likewise."""
    kept.set(traces.provider)
    shop = Registry("shop")

    async def main(frontend: InThread) -> None:
        client = shop.add(temporal.client(frontend.target), name="temporal")

        @shop.build
        def worker(client: Client = requires(client)) -> temporal.Worker:
            return temporal.worker(client, task_queue=QUEUE, activities=[greet], build_id="greets")

        async with lifecycle.running(shop, companions=[opentelemetry.tracing(traces.provider)]):
            for name in ("you", "me"):
                await outcome_of(frontend, frontend.add(QUEUE, "greet", name))

    with serving() as frontend:
        anyio.run(main, frontend)

    assert EACH_OF_ITS_OWN == roots(traces)
