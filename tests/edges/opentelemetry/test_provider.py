"""Whose tracer is used, and since when."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from unittest import mock

import anyio
import anyio.to_thread
import pytest
from opentelemetry import trace

from lifecycle import Component, Registry
from lifecycle.integrations import opentelemetry
from lifecycle.integrations.opentelemetry import _sender
from tests.engine.parts import fail, part, waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from opentelemetry.sdk.trace import TracerProvider

    from tests.edges.opentelemetry.kit import Traces
    from tests.engine.kit import Life

LOGGER = "lifecycle.integrations.opentelemetry"


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What our own logger said, with its level."""
    return [
        f"{record.levelname} {record.getMessage()}"
        for record in caplog.records
        if record.name == LOGGER
    ]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged, from INFO on."""
    caplog.set_level(logging.INFO)
    return caplog


def tracer_provider(shop: Registry, traces: Traces, life: Life) -> Component[TracerProvider]:
    """Declare a provider as a component: it takes 1 s to start, and is no use after its stop."""
    flush = traces.provider.force_flush

    def noted(timeout_millis: int = 30_000) -> bool:
        life.note("flush")
        return flush(timeout_millis)

    @shop.component
    async def telemetry() -> AsyncIterator[TracerProvider]:
        await anyio.sleep(1)
        with mock.patch.object(traces.provider, "force_flush", noted):
            yield traces.provider
        life.note(f"stop, inside a span: {trace.get_current_span().is_recording()}")
        traces.provider.shutdown()

    return telemetry


# --- a component of the system -------------------------------------------------------------------


def test_a_component(life: Life, traces: Traces, log: pytest.LogCaptureFixture) -> None:
    """What was before it is sent when it is ready; it is flushed before it is stopped, once.

    Of what ends after that there are no spans, and that is said.
    """
    shop = Registry("shop")
    part(shop, "config", start=0.5, stop=0.5)
    telemetry = tracer_provider(shop, traces, life)
    part(shop, "database", start=2, stop=1, wants=[telemetry], requires=["config"])
    part(shop, "files", stop=1.5)

    life.live(shop, companions=[opentelemetry.tracing(telemetry)])
    assert [
        "start shop 0-3 [starting, running]",
        "  start files 0-0",
        "  start config 0-0.5",
        "  start telemetry 0-1",
        "  start database 1-3 after start config, start telemetry",
        "shut down shop 0-1 [draining, closing]",
        "  drain files 0-0",
        "  drain database 0-0",
        "  drain telemetry 0-0 after drain database",
        "  drain config 0-0 after drain database",
        "  stop database 0-1",
    ] == traces.tree()
    assert ["flush", "stop, inside a span: False"] == life.words
    lost = "stop files, stop telemetry, stop config"
    assert [f"INFO the tracer provider had ended before: no spans of {lost}"] == said(log)


def test_what_was_before_is_sent_at_once(life: Life, traces: Traces) -> None:
    """Nobody has to wait for the end: spans that have ended are sent while others still start."""
    shop = Registry("shop")
    telemetry = tracer_provider(shop, traces, life)
    sent: list[str] = []

    async def look() -> None:
        await anyio.to_thread.run_sync(traces.wait)
        sent.extend(span.name for span in traces.spans)

    part(shop, "database", start=look, requires=[telemetry])
    life.live(shop, companions=[opentelemetry.tracing(telemetry)])
    assert ["start telemetry"] == sent


@pytest.mark.uvloop
def test_a_component_that_is_a_bare_value(life: Life, traces: Traces) -> None:
    """Nobody stops it, so that everything is traced to the end."""
    shop = Registry("shop")
    telemetry = shop.value(traces.provider, name="telemetry")
    part(shop, "database", requires=[telemetry])

    life.live(shop, companions=[opentelemetry.tracing(telemetry)])
    assert {
        f"{hook} {component}"
        for hook in ("start", "drain", "stop")
        for component in ("telemetry", "database")
    } | {"start shop", "shut down shop"} == set(traces.parents())


@pytest.mark.uvloop
@pytest.mark.parametrize("how", ["fails", "is absent", "is no provider"])
def test_a_component_that_gives_none(
    life: Life, traces: Traces, log: pytest.LogCaptureFixture, how: str
) -> None:
    """The system runs without traces, and that is said."""
    shop = Registry("shop")

    @shop.component(optional=True, enabled=how != "is absent")
    async def telemetry() -> Any:
        return fail() if how == "fails" else 1

    part(shop, "web", wants=[telemetry])

    lived = life.live(shop, companions=[opentelemetry.tracing(telemetry)])
    assert None is lived.error
    nothing = "WARNING no tracer provider could be used: there are no spans"
    assert {
        "fails": [nothing],
        "is absent": [
            f"WARNING {telemetry!r} is no part of this system: there are no spans",
            nothing,
        ],
        "is no provider": ["ERROR 1 cannot be used", nothing],
    }[how] == said(log)


@pytest.mark.uvloop
def test_a_start_that_never_reaches_it(
    life: Life, traces: Traces, log: pytest.LogCaptureFixture
) -> None:
    """What failed before is lost, and that is said."""
    shop = Registry("shop")
    part(shop, "config", start=fail)

    @shop.component(requires=["config"])
    async def telemetry() -> TracerProvider:
        return traces.provider

    life.live(shop, companions=[opentelemetry.tracing(telemetry)])
    assert [] == traces.spans
    assert ["WARNING no tracer provider could be used: there are no spans"] == said(log)


@pytest.mark.rule("D7")
@pytest.mark.parametrize(("stop_timeout", "flush"), [(10, 1), (0.5, 0.25)])
def test_the_flush_before_its_stop_leaves_that_half_of_the_time(
    life: Life, traces: Traces, stop_timeout: float, flush: float
) -> None:
    """It takes 1 s, but no more than half of what the stop has, and there is no other flush."""
    shop = Registry("shop")

    @shop.component(stop_timeout=stop_timeout)
    async def provider() -> AsyncIterator[TracerProvider]:
        yield traces.provider

    with mock.patch.object(_sender.Sender, "is_done", autospec=True) as is_done:
        life.live(shop, companions=[opentelemetry.tracing(provider)])
    assert [flush] == [call.args[1] for call in is_done.call_args_list]


def test_its_stop_is_called_whatever_has_happened(life: Life, traces: Traces) -> None:
    """Also where it has crashed, and its task is cancelled from within by a group of its own."""
    shop = Registry("shop")

    async def crash() -> None:
        await anyio.sleep(1)
        fail()

    @shop.component
    async def telemetry() -> AsyncIterator[TracerProvider]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(crash)
            try:
                yield traces.provider
            finally:
                life.note("stop")

    lived = life.live(shop, waiting, companions=[opentelemetry.tracing(telemetry)])
    assert ["CrashedError: 'telemetry' crashed: ValueError: broken"] == lived.errors
    assert ["stop"] == life.words
    assert "shut down shop" in traces.parents()


# --- the global one, or one that is given --------------------------------------------------------


@pytest.mark.uvloop
def test_the_global_one(life: Life, traces: Traces) -> None:
    """It may be set at any time: here by a component, in a hook."""
    shop = Registry("shop")
    found: list[trace.TracerProvider] = [trace.ProxyTracerProvider()]
    part(shop, "config")

    @shop.component(requires=["config"])
    async def telemetry() -> None:
        found.append(traces.provider)

    part(shop, "web", requires=[telemetry])

    with mock.patch.object(trace, "get_tracer_provider", side_effect=lambda: found[-1]):
        life.live(shop, companions=[opentelemetry.tracing()])
    assert {
        f"{hook} {component}"
        for hook in ("start", "drain", "stop")
        for component in ("config", "telemetry", "web")
    } | {"start shop", "shut down shop"} == set(traces.parents())


@pytest.mark.uvloop
def test_the_global_one_that_is_never_set(life: Life, log: pytest.LogCaptureFixture) -> None:
    """Nothing is traced, and that is said."""
    with mock.patch.object(trace, "get_tracer_provider", trace.ProxyTracerProvider):
        life.live(Registry("shop"), companions=[opentelemetry.tracing()])
    assert ["WARNING no tracer provider could be used: there are no spans"] == said(log)


@pytest.mark.uvloop
def test_a_provider_that_cannot_be_flushed(life: Life) -> None:
    """That is no part of OpenTelemetry's API, and not needed."""
    lived = life.live(
        Registry("shop"), companions=[opentelemetry.tracing(trace.NoOpTracerProvider())]
    )
    assert None is lived.error


def test_what_is_no_provider() -> None:
    """It is an error at once."""
    with pytest.raises(TypeError, match="a tracer provider has a method `get_tracer`, and 1 has"):
        opentelemetry.tracing(1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


PROGRAM = """\
import lifecycle
from collections.abc import Iterator
from lifecycle import Registry, requires
from lifecycle.integrations import opentelemetry
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

shop = Registry("shop")

@shop.component
def config() -> None: ...

@shop.component(after=[config])
def telemetry() -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    exporter = ConsoleSpanExporter(formatter=lambda span: span.name + "\\n")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)

@shop.main(requires=[telemetry])
async def nightly() -> int:
    return 3

lifecycle.run(shop, companions=[opentelemetry.tracing()])
"""


def test_a_whole_program() -> None:
    """The global provider is set by a component; everything is exported before the process ends."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=False, capture_output=True, text=True
    )
    names = ("config", "telemetry", "nightly")
    assert sorted(
        [f"{hook} {name}" for hook in ("start", "drain", "stop") for name in names]
        + ["start shop", "shut down shop"]
    ) == sorted(ran.stdout.splitlines()), ran.stderr
    assert 3 == ran.returncode


def test_without_opentelemetry_it_says_what_to_install() -> None:
    """Whoever imports the module needs the extra."""
    name = "lifecycle.integrations.opentelemetry"
    program = f"import sys; sys.modules['opentelemetry'] = None; import {name}"

    ran = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )

    assert ran.stderr.splitlines()[-1] == (
        "ImportError: opentelemetry-api is not installed: "
        "pip install 'anyio-lifecycle[opentelemetry]'"
    )
