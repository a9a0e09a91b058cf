"""What a companion watches the system with that it accompanies, and what the last events say."""

from __future__ import annotations

import contextlib
import functools
import signal
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Lifetime, Registry, System, events, running
from lifecycle.instruments import HookCall, Instrument, instrumented
from tests.engine.parts import part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from lifecycle._engine.companions import Companion
    from tests.engine.kit import Life


class Around(Instrument):
    """Notes what it is around."""

    def __init__(self, life: Life, name: str) -> None:
        self._life = life
        self._name = name

    async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        self._life.note(f"{self._name} around {call.component}.{call.hook}")
        return await proceed()


def companion(watch: Callable[[System], Awaitable[object]]) -> Companion:
    """A companion that does something with the system as it begins."""

    @contextlib.asynccontextmanager
    async def watching(system: System) -> AsyncIterator[None]:
        await watch(system)
        yield

    return watching


@pytest.mark.uvloop
@pytest.mark.parametrize("in_thread", [False, True])
def test_a_companion_observes_the_system_to_its_end(life: Life, *, in_thread: bool) -> None:
    """It is told what follows, from whichever thread it asks; also what comes after its own end."""
    shop = Registry("shop")
    part(shop, "database")

    async def watch(system: System) -> None:
        observe = functools.partial(system.observe, life.observe)
        await (life.in_thread(observe) if in_thread else _called(observe))

    life.live(shop, companions=[companion(watch)])
    assert [
        "= starting",
        "database starts",
        "database started",
        "= running",
        "asked to shut down: the body has ended",
        "= draining",
        "database drains",
        "database drained",
        "= closing",
        "database stops",
        "database stopped",
        "companion watching stops",
        "companion watching stopped",
        "= closed",
        "closed: clean, 0",
    ] == life.words[life.words.index("= starting") :]


@pytest.mark.uvloop
@pytest.mark.parametrize("in_thread", [False, True])
def test_a_companion_instruments_the_system(life: Life, *, in_thread: bool) -> None:
    """It is around every hook of this one, inside what was put around all of them."""
    shop = Registry("shop")
    part(shop, "database")

    async def watch(system: System) -> None:
        put = functools.partial(system.instrument, Around(life, "inner"))
        await (life.in_thread(put) if in_thread else _called(put))

    with instrumented(Around(life, "outer")):
        life.live(shop, companions=[companion(watch)])
        life.live(shop)
    assert [
        "outer around database.start",
        "inner around database.start",
        "outer around database.stop",
        "inner around database.stop",
        "outer around database.start",
        "outer around database.stop",
    ] == life.words


async def _called(function: Callable[[], None]) -> None:
    function()


# --- what set the shutdown off -------------------------------------------------------------------


def triggers(life: Life, shop: Registry, body: Callable[[System], Awaitable[Any]]) -> list[str]:
    """Run a system; what the request to shut down says of its kind, and what the end says."""
    said: list[str] = []

    def observe(event: events.Event) -> None:
        if isinstance(event, (events.ShutdownRequested, events.Closed)):
            said.append(event.trigger.value)

    life.live(shop, body, observers=[observe])
    return said


async def wait(system: System) -> None:
    """Be the body of a program that has nothing else to do."""
    await system.closed()


async def asks(system: System) -> None:
    """Ask for a shutdown."""
    system.shut_down("a deploy")
    system.signal(signal.SIGTERM)
    await system.closed()


async def is_told_by_a_signal(system: System) -> None:
    """Take a signal."""
    system.signal(signal.SIGTERM)
    system.shut_down("too late")
    await system.closed()


async def is_interrupted(system: System) -> None:
    """Take two, of which the second forces the end."""
    system.signal(signal.SIGINT, ago=1)
    system.signal(signal.SIGINT)
    await system.closed()


async def presses_ctrl_c(_: System) -> None:
    """Raise what Ctrl-C raises."""
    raise KeyboardInterrupt


async def exits(_: System) -> None:
    """Leave as programs do."""
    raise SystemExit(3)


async def fails(_: System) -> None:
    """Fail."""
    raise OSError


async def ends(_: System) -> None:
    """End."""


@pytest.mark.rule("D1")
@pytest.mark.uvloop
@pytest.mark.parametrize(
    ("body", "trigger"),
    [
        (ends, "end"),
        (asks, "request"),
        (exits, "request"),
        (is_told_by_a_signal, "signal"),
        (is_interrupted, "signal"),
        (presses_ctrl_c, "signal"),
        (fails, "failure"),
    ],
)
def test_what_set_the_shutdown_off(
    life: Life, body: Callable[[System], Awaitable[Any]], trigger: str
) -> None:
    """The first request says it, and the end says it again."""
    assert [trigger, trigger] == triggers(life, Registry("shop"), body)


@pytest.mark.uvloop
@pytest.mark.parametrize(
    ("on_return", "trigger"), [("crash", "failure"), ("shut_down", "request"), ("main", "end")]
)
def test_what_set_it_off_when_a_component_ends(life: Life, on_return: Any, trigger: str) -> None:
    """A crash is a failure, a service that may shut down has asked, and a main has ended."""
    shop = Registry("shop")

    async def orders(life: Lifetime) -> None:
        life.started()

    async def nightly() -> None: ...

    if on_return == "main":
        shop.main(nightly)
    else:
        shop.service(on_return=on_return)(orders)
    assert [trigger, trigger] == triggers(life, shop, wait)


@pytest.mark.uvloop
def test_what_set_it_off_when_the_start_fails(life: Life) -> None:
    """That is a failure, too."""
    shop = Registry("shop")

    @shop.component
    async def database() -> None:
        raise OSError

    assert ["failure", "failure"] == triggers(life, shop, wait)


@pytest.mark.rule("D10")
def test_what_set_it_off_when_it_was_cancelled(life: Life) -> None:
    """A cancellation from outside has a kind of its own."""
    said: list[str] = []

    def observe(event: events.Event) -> None:
        if isinstance(event, (events.ShutdownRequested, events.Closed)):
            said.append(event.trigger.value)

    async def main() -> None:
        with anyio.move_on_after(1):
            async with running(Registry("shop"), observers=[observe]):
                await anyio.sleep(5)

    life.run(main)
    assert ["cancellation", "cancellation"] == said
