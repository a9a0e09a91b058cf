"""A companion that answers ``grpc.health.v1``: before everything else, and after it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import anyio
import grpc
import pytest

from lifecycle import Outcome, Registry, events
from lifecycle.errors import PreflightError, SettingsError
from lifecycle.integrations import grpc as lifecycle_grpc
from tests.edges.grpc import tls
from tests.edges.grpc.kit import (
    NOT_SERVING,
    SERVING,
    Health,
    checking,
    in_thread,
    is_refused,
    request,
    run,
)
from tests.edges.grpc.services import GENEROUS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lifecycle import System

pytestmark = [pytest.mark.anyio, pytest.mark.rule("P6")]

NAMES = ("", "liveness", "startup", "part")


async def test_it_is_there_before_the_first_check_and_after_the_last_stop() -> None:
    """Alive throughout; ready in between."""
    server = lifecycle_grpc.health_server("127.0.0.1:0")
    health = Health(server.target)
    shop = Registry("shop")
    told: list[Any] = []

    async def ask() -> None:
        told.append(await Health(server.target).checks(*NAMES))

    shop.preflight(ask)

    @shop.component
    async def part() -> AsyncIterator[None]:
        await ask()
        yield
        await ask()

    async def body(system: System) -> None:
        assert server.target == f"127.0.0.1:{server.port}"
        await ask()

    report = await run(shop, body, companions=[server])

    assert report.outcome is Outcome.CLEAN
    assert told == [
        [NOT_SERVING, SERVING, NOT_SERVING, NOT_SERVING],
        [NOT_SERVING, SERVING, NOT_SERVING, NOT_SERVING],
        [SERVING, SERVING, SERVING, SERVING],
        [NOT_SERVING, SERVING, SERVING, NOT_SERVING],
    ]
    assert await is_refused(server.port)
    assert await health.check() is grpc.StatusCode.UNAVAILABLE


async def test_a_system_that_does_not_pass_its_checks() -> None:
    """It says so as long as it lives."""
    server = lifecycle_grpc.health_server("127.0.0.1:0")
    shop = Registry("shop")
    told: list[Any] = []

    async def fail() -> bool:
        told.append(await Health(server.target).checks("", "liveness"))
        return False

    shop.preflight(fail)

    report = await run(shop, companions=[server])

    assert [PreflightError] == [type(error) for error in report.errors]
    assert told == [[NOT_SERVING, SERVING]]
    assert await is_refused(server.port)


async def test_its_port_is_taken() -> None:
    """Then nothing starts: nobody would see how the rest is doing."""
    shop = Registry("shop")
    shop.component(lambda: None, name="part")
    seen: list[events.Event] = []
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = lifecycle_grpc.health_server(f"127.0.0.1:{port}")

        report = await run(shop, companions=[server], observers=[seen.append])

    assert report.outcome is Outcome.START_FAILED
    [error] = report.errors
    assert str(error) == (
        "'grpc health' did not start: "
        f"OSError: [Errno 98] cannot listen on 127.0.0.1:{port}: Address already in use"
    )
    assert not [event for event in seen if isinstance(event, events.ComponentStarting)]


async def test_it_can_accompany_one_system_after_another() -> None:
    """As in tests."""
    server = lifecycle_grpc.health_server("127.0.0.1:0")
    told = []

    async def body(system: System) -> None:
        told.append(await Health(server.target).check())

    for _ in range(2):
        await run(Registry("shop"), body, companions=[server])

    assert told == [SERVING, SERVING]


async def test_with_tls() -> None:
    """And with options of gRPC's own."""
    credentials = grpc.ssl_server_credentials([(tls.KEY, tls.CERTIFICATE)])
    server = lifecycle_grpc.health_server(
        "localhost:0", credentials=credentials, options=[("grpc.max_concurrent_streams", 8)]
    )

    def ask() -> Any:
        trusted = grpc.ssl_channel_credentials(tls.CERTIFICATE)
        with grpc.secure_channel(server.target, trusted) as channel:
            return checking(channel)(request(""), timeout=GENEROUS).status

    async def body(system: System) -> None:
        assert await in_thread(ask) == SERVING

    assert (await run(Registry("shop"), body, companions=[server])).outcome is Outcome.CLEAN


@pytest.mark.rule("P4")
async def test_it_answers_many_at_once() -> None:
    """More than it has threads."""
    server = lifecycle_grpc.health_server("127.0.0.1:0")
    told = []

    async def ask() -> None:
        told.append(await Health(server.target).check("liveness"))

    async def body(system: System) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(ask)

    await run(Registry("shop"), body, companions=[server])

    assert told == [SERVING] * 12


def test_it_says_where_it_is() -> None:
    """And what is no address."""
    assert repr(lifecycle_grpc.health_server(":80")) == "<grpc.HealthServer at 127.0.0.1:80>"
    with pytest.raises(SettingsError, match="address is 'shop'"):
        lifecycle_grpc.health_server("shop")
