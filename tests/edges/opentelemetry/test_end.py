"""A collector that does not answer costs a bounded time at the end, and nothing else."""

from __future__ import annotations

import contextlib
import logging
import socket
import subprocess
import sys
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from lifecycle import Registry, Settings
from lifecycle.integrations import opentelemetry
from tests.edges.opentelemetry.kit import StuckToTheEnd
from tests.engine.kit import Life
from tests.engine.parts import part, summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

LOST = "the spans were not flushed in time, and may be lost"


class Exporter(SpanExporter):
    """Does something with each span, in whichever thread that is."""

    def __init__(self, export: Callable[[str], object]) -> None:
        self._export = export

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            self._export(span.name)
        return SpanExportResult.SUCCESS


def exporting(export: Callable[[str], object]) -> TracerProvider:
    """A provider that exports each span as it ends, and where it ends."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(Exporter(export)))
    return provider


def test_an_exporter_that_is_stuck(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    """The system does not notice, however spans are exported, and how it ended is the same."""
    shop = Registry("shop")
    part(shop, "database", start=1, stop=1)
    stuck = StuckToTheEnd()
    began: list[str] = []

    def export(name: str) -> None:
        began.append(name)
        stuck.block()

    tracing = opentelemetry.tracing(exporting(export))
    lived = life.live(shop, companions=[tracing], observers=[life.observe, stuck])
    assert ["start database"] == began[:1]
    assert ("clean", 0, []) == summary(lived)
    assert [
        "0 companion opentelemetry starts",
        "0 companion opentelemetry started",
        "0 = starting",
        "0 database starts",
        "1 database started",
        "1 = running",
        "1 asked to shut down: the body has ended",
        "1 = draining",
        "1 database drains",
        "1 database drained",
        "1 = closing",
        "1 database stops",
        "2 database stopped",
        "2 companion opentelemetry stops",
        "2 companion opentelemetry stopped",
        "2 = closed",
        "2 closed: clean, 0",
    ] == life.log
    assert LOST in caplog.messages


@pytest.mark.rule("D9")
def test_no_more_than_companions_have(caplog: pytest.LogCaptureFixture) -> None:
    """Where the grace period leaves less than a second, that is enough.

    In real time, since virtual time waits for whoever waits for a thread.
    """
    stuck = StuckToTheEnd()
    tracing = opentelemetry.tracing(exporting(lambda _: stuck.block()))
    settings = Settings(grace_period=1, close_reserve=0.5)

    lived = Life("uvloop").live(
        Registry("shop"), settings=settings, companions=[tracing], observers=[stuck]
    )
    assert ("clean", 0, []) == summary(lived)
    assert LOST in caplog.messages


@pytest.mark.uvloop
def test_an_exporter_that_fails(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    """It is asked again for the next span, and the system does not notice."""
    asked: list[str] = []

    def export(name: str) -> None:
        asked.append(name)
        raise OSError

    lived = life.live(Registry("shop"), companions=[opentelemetry.tracing(exporting(export))])
    assert ("clean", 0, []) == summary(lived)
    assert ["start shop", "shut down shop"] == asked


@pytest.mark.uvloop
def test_a_tracer_that_fails(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    """No hook is kept from being called, whatever the SDK does."""
    caplog.set_level(logging.CRITICAL)
    shop = Registry("shop")
    part(shop, "database", start=lambda: life.note("start"), stop=lambda: life.note("stop"))
    provider = TracerProvider(shutdown_on_exit=False)

    with mock.patch.object(provider, "get_tracer") as get_tracer:
        get_tracer.return_value.start_span.side_effect = OSError
        lived = life.live(shop, companions=[opentelemetry.tracing(provider)])
    assert ("clean", 0, []) == summary(lived)
    assert ["start", "stop"] == life.words


# --- the real thing ------------------------------------------------------------------------------

PROGRAM = """\
import sys
import lifecycle
from lifecycle import Registry
from lifecycle.integrations import opentelemetry
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

endpoint, processor, backend = sys.argv[1:]
shop = Registry("shop")

@shop.component
def telemetry() -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"http://{endpoint}/v1/traces", timeout=600)
    provider.add_span_processor(globals()[processor](exporter))
    return provider

@shop.main(requires=[telemetry])
async def nightly() -> int:
    return 3

lifecycle.run(shop, backend=backend, companions=[opentelemetry.tracing(telemetry)])
"""


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """Give the address of a collector that takes connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        yield f"{host}:{port}"


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """Give an address where nobody listens; exporters try it again and again."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        host, port = unheard.getsockname()
        yield f"{host}:{port}"


@pytest.mark.parametrize(
    ("collector", "processor", "backend"),
    [
        (black_hole, "BatchSpanProcessor", "asyncio"),
        (black_hole, "SimpleSpanProcessor", "uvloop"),
        (nobody, "BatchSpanProcessor", "trio"),
    ],
)
def test_a_collector_that_never_answers(
    collector: Callable[[], contextlib.AbstractContextManager[str]], processor: str, backend: str
) -> None:
    """The exporter would wait for 10 minutes; the process ends, with the code that it has."""
    with collector() as address:
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, address, processor, backend],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert 3 == ran.returncode, ran.stderr
    if collector is black_hole:  # not every version of the exporter keeps on trying
        assert LOST in ran.stderr
    assert "closed: clean, exit code 3" in ran.stderr
