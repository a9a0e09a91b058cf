"""What hooks do is shown inside their spans."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from opentelemetry import trace

import lifecycle
from lifecycle import Lifetime, Registry, System, requires
from lifecycle.integrations import opentelemetry
from tests.engine.parts import asked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.edges.opentelemetry.kit import Traces
    from tests.engine.kit import Life

pytestmark = pytest.mark.uvloop


def shown(traces: Traces) -> dict[str, str | None]:
    """The parents of the spans that the hooks themselves have made."""
    return {name: parent for name, parent in traces.parents().items() if name.startswith("(")}


def test_an_async_component(life: Life, traces: Traces) -> None:
    """Whatever it does to start, drain and stop, in its own task or in one that it spawns."""
    shop = Registry("shop")
    tracer = traces.provider.get_tracer("test")

    async def migrate() -> None:
        with tracer.start_as_current_span("(migrate)"):
            await anyio.lowlevel.checkpoint()

    @shop.component
    async def database() -> AsyncIterator[int]:
        with tracer.start_as_current_span("(connect)"):
            await anyio.lowlevel.checkpoint()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(migrate)
        yield 1
        with tracer.start_as_current_span("(disconnect)"):
            await anyio.lowlevel.checkpoint()

    @database.drain
    async def _(_: int) -> None:
        with tracer.start_as_current_span("(finish)"):
            await anyio.lowlevel.checkpoint()

    life.live(shop, asked, companions=[opentelemetry.tracing(traces.provider)])
    assert {
        "(connect)": "start database",
        "(migrate)": "start database",
        "(finish)": "drain database",
        "(disconnect)": "stop database",
    } == shown(traces)


def test_a_sync_component(life: Life, traces: Traces) -> None:
    """In its thread, likewise; and nowhere else does it see a span that is not its own."""
    shop = Registry("shop")
    tracer = traces.provider.get_tracer("test")

    def note(name: str) -> None:
        tracer.start_span(f"({name})").end()

    @shop.component
    def database() -> Iterator[int]:
        note("connect")
        yield 1
        note("disconnect")

    @database.drain
    def _(_: int) -> None:
        note("finish")

    @database.check
    def _(_: int) -> None:
        note("check")

    async def body(system: System) -> None:
        await system.check()

    life.live(shop, body, companions=[opentelemetry.tracing(traces.provider)])
    assert {
        "(connect)": "start database",
        "(check)": None,
        "(finish)": "drain database",
        "(disconnect)": "stop database",
    } == shown(traces)


def test_an_object(life: Life, traces: Traces) -> None:
    """Its methods, and the function of a `build`."""
    shop = Registry("shop")
    tracer = traces.provider.get_tracer("test")

    class Client:
        async def start(self) -> None:
            tracer.start_span("(start)").end()

        def stop(self) -> None:
            tracer.start_span("(stop)").end()

    @shop.build
    def client() -> Client:
        tracer.start_span("(build)").end()
        return Client()

    life.live(shop, companions=[opentelemetry.tracing(traces.provider)])
    assert {
        "(build)": "start client",
        "(start)": "start client",
        "(stop)": "stop client",
    } == shown(traces)


def test_a_service_has_spans_of_its_own(life: Life, traces: Traces) -> None:
    """It goes on for as long as the system does: each thing that it does is a trace of its own."""
    shop = Registry("shop")
    tracer = traces.provider.get_tracer("test")

    @shop.service
    async def orders(life: Lifetime) -> None:
        life.started()
        with tracer.start_as_current_span("(an order)"):
            await life.wait_draining()

    life.live(shop, companions=[opentelemetry.tracing(traces.provider)])
    assert {"(an order)": None} == shown(traces)


def test_nothing_else_is_inside(life: Life, traces: Traces) -> None:
    """Neither the body, nor what uses a component, nor a caller's span is part of a start."""
    shop = Registry("shop")
    tracer = traces.provider.get_tracer("test")

    @shop.component
    async def database() -> AsyncIterator[Any]:
        yield lambda: tracer.start_span("(query)").end()

    async def body(system: System) -> None:
        tracer.start_span("(body)").end()
        system[database]()

    async def main() -> None:
        companions = [opentelemetry.tracing(traces.provider)]
        with tracer.start_as_current_span("(main)"):
            async with lifecycle.running(shop, companions=companions) as system:
                await body(system)

    life.run(main)
    assert {"(main)": None, "(body)": "(main)", "(query)": "(main)"} == shown(traces)
    assert traces.parents()["start shop"] is None
    assert traces.parents()["shut down shop"] is None


@pytest.mark.rule("K3")
@pytest.mark.parametrize("sync", [False, True])
def test_context_variables_of_a_component_stay_its_own(
    life: Life, traces: Traces, *, sync: bool
) -> None:
    """What its start has set is there in its drain and its stop, and in nobody else's hooks."""
    shop = Registry("shop")
    variable: ContextVar[str] = ContextVar("variable", default="")
    seen: list[str] = []

    def sync_database() -> Iterator[int]:
        variable.set("mine")
        yield 1
        seen.append(f"stop {variable.get()}")

    async def async_database() -> AsyncIterator[int]:
        with contextlib.contextmanager(sync_database)() as value:
            yield value

    database = shop.component(sync_database) if sync else shop.component(async_database)

    @database.drain
    def _(_: int) -> None:
        seen.append(f"drain {variable.get()}")

    @shop.component
    async def web(_: int = requires(database)) -> None:
        seen.append(f"web {variable.get()}")

    life.live(shop, companions=[opentelemetry.tracing(traces.provider)])
    assert ["web ", "drain mine", "stop mine"] == seen


def test_what_fails_is_noted_once(life: Life, traces: Traces) -> None:
    """A hook that raises inside its span leaves one error on it, and the system's own error."""
    shop = Registry("shop")

    @shop.component
    async def database() -> None:
        assert trace.get_current_span().is_recording()
        raise OSError

    tracing = opentelemetry.tracing(traces.provider, record_exceptions=True)
    lived = life.live(shop, companions=[tracing])
    assert ["StartError: 'database' did not start: OSError"] == lived.errors
    span = traces.span("start database")
    assert ["exception"] == [event.name for event in span.events]
    assert "OSError" == span.status.description
