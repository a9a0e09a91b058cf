"""What an open page is told, by a real system in virtual time."""

from __future__ import annotations

import contextlib
import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anyio
import attrs
import pytest

from lifecycle import Lifetime, Registry, Settings, requires
from lifecycle.probes.page import page
from lifecycle.probes.page.live import LEAST, LOOK, QUIET, Follower
from lifecycle.probes.page.live import events as stream
from lifecycle.probes.routes import respond
from lifecycle.states import State
from tests.edges.page.kit import component, edges, status_of, view_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lifecycle import System
    from tests.engine.kit import Life


@attrs.define
class Viewer:
    """A companion that reads the stream, as the probe server does for a browser."""

    told: list[tuple[float, str, Any]] = attrs.field(factory=list)
    """When, the kind of event, and its data."""
    begun: anyio.Event = attrs.field(factory=anyio.Event)
    """The first of it was read."""
    ended: anyio.Event = attrs.field(factory=anyio.Event)
    """The stream ended by itself."""

    @contextlib.asynccontextmanager
    async def __call__(self, system: System) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(self.read, system)
            await self.begun.wait()  # or the start could be over when it begins to read
            yield
            with anyio.move_on_after(0.5):
                await self.ended.wait()
            group.cancel_scope.cancel()

    async def read(self, system: System) -> None:
        """Read to the end."""
        async with contextlib.aclosing(stream(system)) as chunks:
            async for chunk in chunks:
                self._note(chunk.decode())
        self.ended.set()

    def _note(self, chunk: str) -> None:
        assert chunk.endswith("\n\n")
        if chunk.startswith(":"):
            self.told.append((anyio.current_time(), "alive", None))
            return
        kind, data = chunk.rstrip("\n").split("\n")
        assert (kind[:7], data[:6]) == ("event: ", "data: ")
        self.told.append((anyio.current_time(), kind[7:], json.loads(data[6:])))
        if kind == "event: parts":
            self.begun.set()

    def parts(self) -> list[dict[str, str]]:
        """All parts of each event that had any."""
        return [data["parts"] for _, kind, data in self.told if kind == "parts"]

    def kinds(self) -> list[str]:
        """The kinds of the events."""
        return [kind for _, kind, _ in self.told]


def shop() -> Registry:
    """Make a registry: a database that takes 3 s to start, and what uses it."""
    shop = Registry("shop")

    @shop.component
    async def database() -> str:
        await anyio.sleep(3)
        return "database"

    @database.check
    async def ping(database: str) -> None:
        """All is well."""

    @shop.service
    async def packing(life: Lifetime, database: str = requires(database)) -> None:
        life.started()
        await life.wait_draining()
        with life.hold("order 17"):
            await anyio.sleep(2)

    return shop


def test_a_whole_life(life: Life) -> None:
    """First what page it is about, then everything, then each change, and at last how it ended."""
    viewer = Viewer()

    async def body(system: System) -> None:
        await anyio.sleep(5)
        system.shut_down("deploy")
        await system.closed()

    life.live(shop(), body, Settings(drain_delay=1), companions=[viewer])

    assert viewer.kinds()[:2] == ["view", "parts"]
    assert set(viewer.parts()[0]) == {
        *("headline", "steps", "facts", "work"),
        *("box-0", "row-0", "box-1", "row-1"),
    }
    spoken = [data["spoken"] for _, kind, data in viewer.told if kind == "parts"]
    assert list(dict.fromkeys(spoken)) == [
        "shop: preflight.",
        "shop: starting.",
        "shop: running.",
        "shop: delaying. Reason: deploy.",
        "shop: draining. Reason: deploy.",
        "shop: closed. Everything ended as it should; exit code 0. Reason: deploy.",
    ]
    assert viewer.told[-1][1:] == ("end", "closed: clean, exit code 0")
    assert viewer.ended.is_set()


def test_only_what_has_changed_is_sent(life: Life) -> None:
    """The rest of the page stays, and with it what a person reads, has chosen, or points at."""
    viewer = Viewer()
    shop = Registry("shop")
    lives: list[Lifetime] = []
    for name in ("one", "other"):

        @shop.service(name=name)
        async def service(life: Lifetime) -> None:
            lives.append(life)
            life.started()
            await life.wait_draining()

    async def body(system: System) -> None:
        await anyio.sleep(2)
        viewer.told.clear()
        lives[1].unavailable("no broker")
        await anyio.sleep(20)

    life.live(shop, body, companions=[viewer])

    first, *_ = viewer.parts()
    assert set(first) == {"headline", "steps", "facts", "work", "box-1", "row-1"}
    assert "no broker" in first["row-1"]


def test_a_moment_that_is_known_only_later() -> None:
    """How much time a hook has left is told once it is known, and again where it has changed."""
    follower = Follower(view_of(edges("database")))

    def news(now: float, **changed: Any) -> set[str]:
        status = status_of(component("database", State.STARTING, since=now, **changed))
        return set(follower.news(status, now).get("parts", ()))

    everything = news(0.0)
    assert {"box-0", "row-0"} < everything
    assert news(1.0) == set()
    assert news(2.0, time_left=8.0) == {"box-0", "row-0"}
    assert news(3.0, time_left=7.0) == set()
    assert news(4.0, time_left=60.0) == {"box-0", "row-0"}


def test_nothing_is_sent_where_nothing_happens(life: Life) -> None:
    """But for a sign of life now and then: ages and what is left are counted by the page itself."""
    viewer = Viewer()

    async def body(system: System) -> None:
        await anyio.sleep(10)
        viewer.told.clear()
        with system.hold("a long one"):
            await anyio.sleep(60)
        assert viewer.kinds().count("parts") == 1
        assert 60 / (QUIET + LOOK) - 1 < viewer.kinds().count("alive") <= 60 / QUIET

    lived = life.live(shop(), body, companions=[viewer])

    assert lived.error is None


def test_work_that_comes_and_goes_is_seen(life: Life) -> None:
    """Within a second, although no change of the system tells of it."""
    viewer = Viewer()

    async def body(system: System) -> None:
        await anyio.sleep(10)
        viewer.told.clear()
        with system.hold("POST /orders"):
            await anyio.sleep(1.5 * LOOK)
        await anyio.sleep(1.5 * LOOK)
        came, went = viewer.parts()
        assert "POST /orders" in came["work"]
        assert "Nothing is in flight." in went["work"]

    lived = life.live(shop(), body, companions=[viewer])

    assert lived.error is None


def test_many_changes_are_told_together(life: Life) -> None:
    """Four times a second at most, however often something changes; the last is not lost."""
    viewer = Viewer()
    shop = Registry("shop")

    @shop.service
    async def flapping(life: Lifetime) -> None:
        life.started()
        for number in range(1000):
            life.unavailable(f"broker {number} is gone")
            await anyio.sleep(0.01)
        await life.wait_draining()

    async def body(system: System) -> None:
        await anyio.sleep(12)

    life.live(shop, body, companions=[viewer])

    times = [at for at, kind, _ in viewer.told if kind == "parts"]
    assert len(times) > 30
    assert min(b - a for a, b in pairwise(times)) >= LEAST - 1e-6
    flaps = [parts["row-0"] for parts in viewer.parts() if "row-0" in parts]
    assert any("broker 999 is gone" in row for row in flaps)


def test_a_server_of_the_system_itself_is_let_go(life: Life) -> None:
    """A stream that never ends would keep the component that serves it from draining."""
    viewer = Viewer()
    shop = Registry("shop")

    @shop.service
    async def web(life: Lifetime) -> None:
        life.started()
        with life.hold("GET /events"):
            await viewer.read(life.system)

    async def body(system: System) -> None:
        await anyio.sleep(10)

    lived = life.live(shop, body, Settings(grace_period=60))

    assert lived.error is None
    assert viewer.told[-1][1:] == ("end", "the server of this page drains, and says no more")
    assert viewer.ended.is_set()


@pytest.mark.rule("P5")
def test_no_secret_is_shown(life: Life) -> None:
    """Types of errors, and no messages: neither of checks nor of what ends the system."""
    viewer = Viewer()
    bodies: list[bytes] = []
    shop = Registry("shop")
    secret = "postgres://root:hunter2@db"  # noqa: S105  what must not be seen

    @shop.service
    async def database(life: Lifetime) -> None:
        life.started()
        await anyio.sleep(5)
        raise OSError(secret)

    @database.check
    async def ping(value: None) -> None:
        raise TimeoutError(secret)

    async def body(system: System) -> None:
        await system.check()
        bodies.append((await page(system)).body)
        await system.closed()

    life.live(shop, body, companions=[viewer])

    said = json.dumps(viewer.told) + bodies[0].decode()
    assert "TimeoutError" in said
    assert "OSError" in said
    assert "hunter2" not in said


def test_where_they_are(life: Life) -> None:
    """The page at the root, what it follows beside it; neither is to be kept, and HEAD is short."""

    async def body(system: System) -> None:
        page = await respond(system, "GET", "/")
        head = await respond(system, "HEAD", "/")
        follows = await respond(system, "GET", "/events")
        assert (200, 200, 200) == (page.code, head.code, follows.code)
        headers, streamed = dict(page.headers), dict(follows.headers)
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert headers["Content-Length"] == str(len(page.body))
        assert "script-src 'sha256-" in headers["Content-Security-Policy"]
        assert streamed["Content-Type"] == "text/event-stream"
        assert "Content-Length" not in streamed
        assert headers["Cache-Control"] == streamed["Cache-Control"] == "no-store"
        assert (b"", page.headers) == (head.body, head.headers)
        assert follows.stream is not None

    lived = life.live(shop(), body)

    assert lived.error is None
