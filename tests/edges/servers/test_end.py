"""How servers end what cannot be asked to end, on asyncio: there force is possible."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Limits, Settings
from lifecycle._engine import timing
from lifecycle.errors import DrainTimeoutError, StopError
from lifecycle.integrations import _serving
from lifecycle.testing.servers._app import App, Request
from lifecycle.testing.servers._stage import connected
from tests.edges.servers.kit import ON_EACH, run, shop_of

if TYPE_CHECKING:
    from lifecycle import Report, System

ON_ASYNCIO = [(name, backend) for name, backend in ON_EACH if backend != "trio"]


def shut_down_in(backend: str, name: str, app: App, path: str, *, stop: float = 0.4) -> Report:
    """Shut down while a handler runs, in little time; then let it go on."""
    shop, web = shop_of(name, app)

    async def body(system: System) -> None:
        async with connected(web) as client:
            await client.ask(path)
            await app.arrived.wait()
            system.shut_down("deploy")
            await system.closed()
            app.go_on.set()

    limits = {"web": Limits(stop=stop, drain=0.1)}
    return run(backend, shop, body, Settings(limits=limits))


class Deaf(App):
    """An app whose handler goes on whatever happens."""

    async def deaf(self, request: Request) -> None:
        """Answer when told to, even if cancelled by force."""
        self.arrived.set()
        while not self.go_on.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.go_on.wait()
        await request.answer(b"deaf")


class Stubborn(App):
    """An app whose handler ends by force only, and not at once."""

    async def stubborn(self, request: Request) -> None:
        """Answer not at half time, but at the deadline."""
        self.arrived.set()
        with anyio.CancelScope(shield=True):
            for _ in range(2):
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.get_running_loop().create_future()
            for _ in range(20):  # and then it takes some turns of the loop to tidy up
                await anyio.lowlevel.checkpoint()
        await request.answer(b"")

    async def lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        """Say when it has ended, too."""
        try:
            await super().lifespan(scope, receive, send)
        finally:
            self.say("lifespan has ended")


@pytest.mark.parametrize(("name", "backend"), ON_ASYNCIO)
def test_a_handler_that_cannot_be_stopped_holds_nobody_up(name: str, backend: str) -> None:
    """The server is abandoned with it, and named."""
    report = shut_down_in(backend, name, Deaf(), "/deaf")

    assert [("web", "stop")] == [(left.component, left.hook) for left in report.abandoned]


@pytest.mark.parametrize(("name", "backend"), ON_ASYNCIO)
def test_by_force_too_handlers_end_before_the_lifespan(
    name: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the app has opened is there for them until the end."""
    for module, patience in ((_serving, "_UNWIND"), (timing, "UNWIND")):
        monkeypatch.setattr(module, patience, 30)  # on a busy machine a few turns may take long
    app = Stubborn()

    # Half time and deadline are apart: both at once would be one cancellation, and it needs two.
    report = shut_down_in(backend, name, app, "/stubborn", stop=3)

    assert app.log == ["up", "/stubborn has ended", "down", "lifespan has ended"]
    assert [DrainTimeoutError, StopError] == [type(error) for error in report.errors]
    assert report.abandoned == ()
