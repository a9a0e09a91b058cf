"""What a server is while it runs."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import anyio

from lifecycle import Lifetime, Outcome, Registry
from lifecycle.testing.servers._app import App, GoneError
from lifecycle.testing.servers._promise import promises
from lifecycle.testing.servers._stage import WEB, connected, expect, is_refused

if TYPE_CHECKING:
    from lifecycle import System
    from lifecycle.asgi import Receive, Scope, Send
    from lifecycle.testing.servers._app import Request
    from lifecycle.testing.servers._stage import Stage


async def requests_are_work_of_the_component(stage: Stage) -> None:
    """They are in flight as its work, run in its context, and find the system in their state.

    Beside it is what the lifespan has put there.
    """
    seen: list[Any] = []

    class Looking(App):
        async def start_up(self, state: dict[str, Any]) -> None:
            state["pool"] = "a pool"

        async def home(self, request: Request) -> None:
            state = request.scope["state"]
            system = state["lifecycle"]
            works = [(one.component, one.what) for one in system.status().in_flight]
            seen.extend((state["pool"], Lifetime.current().name, (WEB, "GET /") in works))
            await request.answer(b"")

    shop, server = stage.shop(Looking())

    async def body(system: System) -> None:
        async with connected(server) as client:
            await client.get("/?token=secret")

    report = await stage.run(shop, body)

    expect(["a pool", WEB, True], seen, "the pool, the component, and whether it is in flight")
    expect(Outcome.CLEAN, report.outcome, "the outcome")


async def signals_are_not_touched(stage: Stage) -> None:
    """They belong to whoever runs the program."""

    def handlers() -> dict[int, object]:
        return {number: signal.getsignal(number) for number in signal.valid_signals()}

    shop, _ = stage.shop(App())
    before = handlers()

    async def body(system: System) -> None:
        expect(before, handlers(), "the handlers of signals while it runs")

    await stage.run(shop, body)

    expect(before, handlers(), "the handlers of signals when it has ended")


async def several_can_run_at_once(stage: Stage) -> None:
    """As a public port and one for operations; each drains by itself."""
    public, admin = App(), App()
    shop = Registry("shop")
    first, second = (stage.server(app, port=0) for app in (public, admin))
    shop.add(first, name="public")
    shop.add(second, name="admin", after=["public"])

    async def body(system: System) -> None:
        async with connected(first) as slow, connected(second) as idle:
            await slow.ask("/slow")
            await public.arrived.wait()
            await idle.get("/")
            system.shut_down("deploy")
            await idle.rest()
            expect(True, await is_refused(second), "refused")
            public.go_on.set()
            expect(b"slow", (await slow.rest())[-4:], "the end of the answer")

    report = await stage.run(shop, body)

    expect(Outcome.CLEAN, report.outcome, "the outcome")
    expect(["up", "/slow has ended", "down"], public.log, "what the first has seen")
    expect(["up", "/ has ended", "down"], admin.log, "what the second has seen")


async def a_crash_of_the_lifespan_is_one_of_the_component(stage: Stage) -> None:
    """The system learns of it by the app's own exception; what is in flight is finished."""
    crash, answered = anyio.Event(), anyio.Event()

    class Crashing(App):
        async def lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await crash.wait()
            raise GoneError

    app = Crashing()
    shop, server = stage.shop(app)

    async def body(system: System) -> None:
        async with connected(server) as client:
            await client.ask("/slow")
            await app.arrived.wait()
            crash.set()
            with anyio.CancelScope(shield=True):  # a crash cancels the body
                await system.wait_draining()
                app.go_on.set()
                expect(b"slow", (await client.rest())[-4:], "the end of the answer")
                answered.set()

    report = await stage.run(shop, body)

    expect(True, answered.is_set(), "answered")
    expect(Outcome.CRASHED, report.outcome, "the outcome")
    expect(GoneError, type(report.errors[0].__cause__), "the cause of the error")


async def an_exit_ends_one_request(stage: Stage) -> None:
    """What is no `Exception`, as no `SystemExit` is, is answered by 500, and the rest goes on.

    So does what comes in a group, as from a task group of the app's.
    """

    class Exiting(App):
        async def exits(self, request: Request) -> None:
            raise SystemExit(7)

        async def interrupts(self, request: Request) -> None:
            raise KeyboardInterrupt

        async def ends_a_generator(self, request: Request) -> None:
            raise GeneratorExit

        async def exits_in_a_group(self, request: Request) -> None:
            async with anyio.create_task_group():
                raise SystemExit(7)

    shop, server = stage.shop(Exiting())

    async def body(system: System) -> None:
        for path in ("/exits", "/interrupts", "/ends_a_generator", "/exits_in_a_group"):
            async with connected(server) as client:
                await client.ask(path)
                expect(b" 500 ", (await client.until(b"\r\n"))[8:13], f"the answer to {path}")
        async with connected(server) as client:
            expect(b"hello", (await client.get("/"))[-5:], "the end of the answer to another one")

    report = await stage.run(shop, body)

    expect(Outcome.CLEAN, report.outcome, "the outcome")
    expect(0, report.exit_code, "the exit code")


PROMISES = promises(
    an_exit_ends_one_request,
    requests_are_work_of_the_component,
    signals_are_not_touched,
    several_can_run_at_once,
    a_crash_of_the_lifespan_is_one_of_the_component,
)
