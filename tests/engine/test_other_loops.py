"""A system is awaited on its own event loop: on another, nothing would wake who waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
import pytest

from lifecycle import Lifetime, Registry, System, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.engine.kit import Life

    Wait = Callable[[System, "Lifetime[None]"], Awaitable[object]]


async def _each(items: AsyncIterator[object]) -> None:
    async for _ in items:
        pass


async def _nothing() -> AsyncIterator[int]:
    await anyio.sleep_forever()
    yield 0


async def _changes(system: System) -> None:
    changes = system.changes()
    await anext(changes)  # how it stands now needs no wait
    await anext(changes)


WAITS: dict[str, Wait] = {
    "closed": lambda system, _: system.closed(),
    "check": lambda system, _: system.check(),
    "changes": lambda system, _: _changes(system),
    "wait_draining": lambda system, _: system.wait_draining(),
    "until_draining": lambda system, _: _each(system.until_draining(_nothing())),
    "life.wait_draining": lambda _, life: life.wait_draining(),
    "life.until_draining": lambda _, life: _each(life.until_draining(_nothing())),
    "life.sleep": lambda _, life: life.sleep(1e9),
    "life.wait_stopping": lambda _, life: life.wait_stopping(),
}


def elsewhere(awaited: Callable[[], Awaitable[object]]) -> None:
    """Await something on an event loop of this thread's own."""

    async def main() -> None:
        await awaited()

    asyncio.run(main())


@pytest.mark.parametrize("name", WAITS)
def test_who_waits_on_another_loop_is_refused(life: Life, name: str) -> None:
    """At once, and told why; instead of waiting for ever."""
    shop = Registry("shop")
    lives: list[Lifetime[None]] = []

    @shop.service
    async def orders(life: Lifetime[None]) -> None:
        lives.append(life)
        life.started()
        await life.wait_draining()

    @orders.check
    async def works(_: None) -> None:
        """Be asked."""

    async def main() -> None:
        async with running(shop) as system:
            with pytest.raises(RuntimeError, match="the system runs on another event loop"):
                await life.in_thread(lambda: elsewhere(lambda: WAITS[name](system, lives[0])))

    life.run(main)


def test_who_waits_at_a_gate_on_another_loop_is_refused(life: Life) -> None:
    """Where there is something to wait for; what is there already is given."""
    shop = Registry("shop")
    fast = shop.value(1, name="fast")
    told: list[str] = []

    @shop.component(requires=[fast])
    async def slow() -> AsyncIterator[int]:
        system = Lifetime.current().system
        await life.in_thread(lambda: elsewhere(lambda: system.ready(fast)))
        for wait in (lambda: system.ready(slow), system.gate(slow).wait):
            with pytest.raises(RuntimeError, match="what is not async may be called") as refused:
                await life.in_thread(lambda wait=wait: elsewhere(wait))  # type: ignore[misc]
            told.append(str(refused.value))
        yield 2

    assert life.live(shop).error is None
    assert 2 == len(told)
