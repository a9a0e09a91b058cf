"""Connections that are given up in time, so that a client that keeps one loses no call."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Outcome, Settings
from lifecycle.errors import SettingsError
from lifecycle.integrations import grpc as lifecycle_grpc
from tests.edges.grpc.kit import ON_ASYNCIO, connected, run, shop_of, sync_connected
from tests.edges.grpc.services import GENEROUS, Orders, SyncOrders

if TYPE_CHECKING:
    from lifecycle import System

pytestmark = pytest.mark.anyio

MAKERS = pytest.mark.parametrize(
    "make", [lifecycle_grpc.server, lifecycle_grpc.sync_server], ids=["aio", "sync"]
)


@pytest.fixture(params=ON_ASYNCIO.values(), ids=[*ON_ASYNCIO])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run each test wherever ``grpc.aio`` runs."""
    return request.param


async def test_a_client_that_keeps_its_channel() -> None:
    """It connects anew, again and again, and loses no call by that, however long it takes."""
    peers: dict[str, None] = {}

    class Noting(Orders):
        async def get(self, request: bytes, context: Any) -> bytes:
            peers[context.peer()] = None
            return await super().get(request, context)

    orders = Noting()
    shop, server = shop_of(orders, connection_age=0.1)

    async def body(system: System) -> None:
        async with connected(server.target) as channel:
            slow = channel.unary_unary("/shop.Orders/Slow")(b"")
            await orders.has_said("slow")
            with anyio.fail_after(GENEROUS):
                while len(peers) < 4:
                    assert await channel.unary_unary("/shop.Orders/Get")(b"") == b"hello "
            orders.go_on.set()
            assert await slow == b"slow"

    assert (await run(shop, body)).outcome is Outcome.CLEAN


def test_a_synchronous_server_too() -> None:
    """It is said to gRPC in the same way."""
    peers: dict[str, None] = {}

    class Noting(SyncOrders):
        def get(self, request: bytes, context: Any) -> bytes:
            peers[context.peer()] = None
            return super().get(request, context)

    shop, server = shop_of(Noting(), connection_age=0.1)

    async def body(system: System) -> None:
        def call_often() -> None:
            with sync_connected(server.target) as channel:
                while len(peers) < 3:
                    channel.unary_unary("/shop.Orders/Get")(b"", timeout=GENEROUS)

        with anyio.fail_after(GENEROUS):
            await anyio.to_thread.run_sync(call_often)

    anyio.run(run, shop, body)


@MAKERS
@pytest.mark.parametrize("age", [0, -1, math.inf, math.nan])
def test_what_is_no_age(make: Any, age: float) -> None:
    """It is found when the server is made."""
    with pytest.raises(SettingsError, match="but must be a number of seconds, more than 0"):
        make(lambda _: None, address=":0", connection_age=age)


@MAKERS
def test_it_can_be_said_once(make: Any) -> None:
    """By its name here, or by that which gRPC has for it."""
    options = [("grpc.max_connection_age_ms", 1000)]
    with pytest.raises(TypeError, match="say `connection_age` or gRPC's"):
        make(lambda _: None, address=":0", connection_age=1, options=options)


@pytest.mark.parametrize(("delay", "is_warned"), [(0, False), (0.2, True), (0.3, False)])
async def test_a_delay_that_is_too_short(
    delay: float,
    is_warned: bool,  # noqa: FBT001
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Then some connections are not given up meanwhile: the log says so, and what to do."""
    shop, _ = shop_of(Orders(), connection_age=0.2)
    await run(shop, settings=Settings(drain_delay=delay))

    expected = (
        "web: its connections are given up when they are 0.22 s old, and the drain delay is 0.2 s: "
        "clients that keep one will be refused. Let the delay be longer, by as much as the load "
        "balancer takes to hear of the end"
    )
    warnings = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert warnings == ([expected] if is_warned else [])
