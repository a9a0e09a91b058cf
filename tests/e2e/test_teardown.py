"""What becomes of integrations where asyncio tears its event loop down: it cancels every task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.kit import GENEROUS, running_program, running_source

if TYPE_CHECKING:
    from pathlib import Path

TORN_DOWN = [
    "uvicorn asyncio",
    "hypercorn asyncio",
    "hypercorn uvloop",
    "granian asyncio",
    "grpc asyncio",
    "grpc uvloop",
    "sync_grpc asyncio",
    "process asyncio",
]


@pytest.mark.rule("D10", "K2")
@pytest.mark.parametrize("name", TORN_DOWN)
def test_a_teardown_at_any_moment_ends_everything(name: str) -> None:
    """At each turn of the loop, in the start as in the end: nothing hangs, and nothing is left."""
    with running_program(__file__, "teardown", *name.split()) as process:
        assert 0 == process.wait(3 * GENEROUS), process.output
        assert ["over"] == process.said


EXITS = """
    import anyio
    import grpc

    import lifecycle
    from lifecycle import Registry
    from lifecycle.integrations.grpc import server

    async def leave():
        raise SystemExit(7)

    async def exits(request, context):
        async with anyio.create_task_group() as group:
            group.start_soon(leave)

    handlers = {"Exits": grpc.unary_unary_rpc_method_handler(exits)}
    handler = grpc.method_handlers_generic_handler("shop.Shop", handlers)
    shop = Registry("shop")

    @shop.component
    async def database():
        try:
            yield
        finally:
            print("> database closed", flush=True)

    web = server(lambda one: one.add_generic_rpc_handlers((handler,)), address="127.0.0.1:0")
    shop.add(web, name="web", requires=[database])

    async def main():
        async with lifecycle.running(shop):
            async with grpc.aio.insecure_channel(web.target) as channel:
                await channel.unary_unary("/shop.Shop/Exits")(b"")
            await anyio.sleep_forever()

    try:
        anyio.run(main)
    finally:
        print("> over", flush=True)
"""


@pytest.mark.rule("K2", "R5")
def test_an_exit_in_a_task_of_a_call_of_grpc(tmp_path: Path) -> None:
    """It ends the loop, by asyncio, in the midst of a task of gRPC's: all is closed."""
    with running_source(tmp_path, EXITS) as process:
        assert 7 == process.wait(), process.output
        assert ["database closed", "over"] == process.said
