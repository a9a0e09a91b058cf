"""A system that lives as long as the lifespan of an app that somebody else serves."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import lifecycle
from lifecycle import Outcome, Registry, Settings
from lifecycle.errors import SettingsError
from lifecycle.integrations import guest
from tests.edges.guest.kit import Server, Shop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from lifecycle import System
    from lifecycle.asgi import ASGIApp, Receive, Scope, Send

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def served(shop: Shop, app: ASGIApp | None = None, **options: Any) -> AsyncGenerator[Server]:
    """Serve an app of the shop as its guest."""
    wrapped = guest.wrap(app or shop.app, shop.registry, observers=[shop.observe], **options)
    async with Server(wrapped).serving() as server:
        yield server


async def test_the_system_is_around_the_app() -> None:
    """It is ready before the app's own lifespan begins, and stops when that has ended."""
    shop = Shop()

    async with served(shop) as server:
        assert ["lifespan.startup.complete"] == server.answers
        shop.log.append("served")

    assert [
        "database opened",
        "packing begins",
        "app up",
        "served",
        "server drains",
        "server drained",
        "packing drains",
        "app down",
        "database closed",
    ] == shop.log
    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == server.answers


async def test_calls_find_the_system_and_what_the_app_has_put_there() -> None:
    """And are work in flight, of the server's."""
    shop = Shop()

    async with served(shop) as server:
        call = await server.get("/orders")

    assert (200, "[('server', 'GET /orders')]") == call.answer
    assert {"lifecycle", "of the app"} == set(server.state)


async def test_an_app_may_have_no_lifespan() -> None:
    """It is served all the same."""
    shop = Shop()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "this app knows no lifespan"
        await shop.app(scope, receive, send)

    async with served(shop, app) as server:
        call = await server.get()

    assert 200 == call.answer[0]
    assert "database closed" == shop.log[-1]


@pytest.mark.rule("S3")
async def test_a_start_that_fails() -> None:
    """The server is told why; what had started is stopped again."""
    shop = Shop()

    @shop.registry.component(after=[shop.packing])
    async def broken() -> None:
        message = "the broker is not reachable"
        raise ConnectionError(message)

    async with served(shop) as server:
        pass

    (message,) = server.sent
    assert "lifespan.startup.failed" == message["type"]
    assert (
        "'broken' did not start: ConnectionError: the broker is not reachable"
        in (message["message"])
    )
    assert ["database opened", "packing begins", "packing drains", "database closed"] == shop.log


async def test_a_lifespan_of_the_app_that_fails() -> None:
    """That is a start that fails, too."""
    shop = Shop()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        message = "no templates"
        raise FileNotFoundError(message)

    async with served(shop, app) as server:
        pass

    (message,) = server.sent
    assert "'server' did not start: FileNotFoundError: no templates" in message["message"]
    assert "database closed" == shop.log[-1]


@pytest.mark.rule("R1")
async def test_a_crash_ends_the_system() -> None:
    """What is called then is refused, since nobody can tell this server to end."""
    shop = Shop()
    shop.fragile()

    async with served(shop) as server:
        system: System = server.state["lifecycle"]
        shop.crash.set()
        report = await system.closed()
        call = await server.get()

    assert Outcome.CRASHED is report.outcome
    assert 503 == call.answer[0]
    _, message = server.sent
    assert "lifespan.shutdown.failed" == message["type"]
    assert "'fragile' crashed: ValueError: broken" in message["message"]


async def test_so_does_one_of_the_lifespan_of_the_app() -> None:
    """It is part of the server."""
    shop = Shop()
    crash = anyio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await crash.wait()
        message = "the cache is gone"
        raise ValueError(message)

    async with served(shop, app) as server:
        crash.set()
        await server.state["lifecycle"].closed()

    assert "'server' crashed: ValueError: the cache is gone" in server.sent[-1]["message"]
    assert "database closed" == shop.log[-1]


async def test_a_call_that_comes_while_a_crash_drains_is_refused() -> None:
    """The one that was there before goes on; a server that goes on listening keeps nobody."""
    shop = Shop()
    shop.fragile()
    arrived, go_on = anyio.Event(), anyio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "this app knows no lifespan"
        arrived.set()
        await go_on.wait()
        await shop.app(scope, receive, send)

    answers: list[int] = []

    async with served(shop, app) as server:
        system: System = server.state["lifecycle"]

        async def first() -> None:
            call = await server.get()
            answers.append(call.answer[0])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            await arrived.wait()
            shop.crash.set()
            await system.wait_draining()
            await anyio.wait_all_tasks_blocked()
            answers.append((await server.get()).answer[0])
            go_on.set()

    assert [503, 200] == answers


async def test_a_server_that_ends_by_itself_is_not_waited_for() -> None:
    """There is no drain delay: nobody serves any more."""
    shop = Shop()
    long = Settings(drain_delay=500, grace_period=600)

    async with served(shop, settings=long) as server:
        system: System = server.state["lifecycle"]

    assert system.report is not None
    assert (Outcome.CLEAN, "the server has ended") == (system.report.outcome, system.report.reason)
    assert system.report.duration < 400


async def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the server starts, as for a program; what is wrong with them fails the start."""
    shop = Shop()
    monkeypatch.setenv("LIFECYCLE_GRACE_PERIOD", "77")
    async with served(shop) as server:
        assert 77 == server.state["lifecycle"].settings.grace_period

    monkeypatch.setenv("LIFECYCLE_GRACE_PERIOD", "long")
    async with served(shop) as server:
        assert "LIFECYCLE_GRACE_PERIOD is 'long'" in server.sent[0]["message"]


async def test_a_component_may_have_the_name_of_the_server() -> None:
    """It has its own, then."""
    shop = Shop()
    shop.registry.value(1, name="server")

    async with served(shop) as server:
        names = [node.name for node in server.state["lifecycle"].plan.components]

    assert ["database", "packing", "server", "server_"] == names


async def test_no_signal_is_touched_where_nobody_is_known() -> None:
    """In tests, and in loops of somebody's own."""
    shop = Shop()
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
    before = [signal.getsignal(number) for number in numbers]

    async with served(shop):
        assert before == [signal.getsignal(number) for number in numbers]


async def test_a_nested_system_of_another_registry() -> None:
    """An app that is served inside a system which knows nothing of its registry has its own."""
    shop, other = Shop(), Registry("other")
    wrapped = guest.wrap(shop.app, shop.registry)

    @other.component
    async def server() -> AsyncGenerator[Server]:
        async with Server(wrapped).serving() as inside:
            yield inside

    async with lifecycle.running(other) as system:
        assert system[server].state["lifecycle"] is not system

    assert "database closed" == shop.log[-1]


async def test_one_that_serves_it_in_the_same_system_is_joined() -> None:
    """There is one system, and its server sees to the calls."""
    shop = Shop()
    wrapped = guest.wrap(shop.app, shop.registry)

    @shop.registry.component(after=[shop.packing])
    async def server() -> AsyncGenerator[Server]:
        async with Server(wrapped).serving() as inside:
            yield inside

    async with lifecycle.running(shop.registry) as system:
        assert system[server].state["lifecycle"] is system

    assert 1 == shop.log.count("database opened")


async def test_settings_that_cannot_work_are_an_error_of_theirs() -> None:
    """It leaves `living` bare, for frameworks."""
    shop = Shop()
    wrong = Settings(limits={"databse": lifecycle.Limits(stop=1)})

    with pytest.raises(SettingsError, match="did you mean 'database'"):
        async with guest.living(shop.app, shop.registry, wrong):
            pass


def test_it_needs_no_server_and_no_framework() -> None:
    """Whichever serves the app."""
    missing = ("fastapi", "starlette", "uvicorn")
    program = f"import sys; sys.modules.update(dict.fromkeys({missing!r}));"
    program += "import lifecycle.integrations.guest"

    subprocess.run([sys.executable, "-c", program], check=True)
