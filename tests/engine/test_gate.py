"""One gate, held in the hand: asked, waited at, put before functions, from threads too."""

from __future__ import annotations

import contextlib
import functools
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Lifetime, Registry, System, requires
from lifecycle.errors import ClosedError, DeadlockError, NotReadyError, StartError
from lifecycle.instruments import Instrument, instrumented
from tests.engine.parts import fail, part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from lifecycle.gates import Gate
    from tests.engine.kit import Life

span: ContextVar[str] = ContextVar("span", default="none")


def held(shop: Registry, life: Life, use: Any) -> Any:
    """Run a system whose part "slow" takes a second; returns what `use` makes of its gate."""
    slow, results = part(shop, "slow", start=1), list[Any]()

    @shop.service
    async def user(life: Lifetime) -> None:
        life.started()
        results.append(await use(life.system.gate(slow)))
        await life.wait_draining()

    async def body(_: System) -> None:
        await anyio.sleep(5)

    lived = life.live(shop, body)
    assert lived.error is None
    return results[0]


class Shop:
    """Functions of every colour, behind a gate."""

    def __init__(self, gate: Gate[str], *, wait: bool) -> None:
        guard = gate.guard(wait=True) if wait else gate.guard
        self.plain = guard(self._plain)
        self.coroutine = guard(self._coroutine)
        self.stream = guard(self._stream)
        self.partial = guard(functools.partial(self._plain, "partial"))

    def _plain(self, what: str) -> str:
        return what

    async def _coroutine(self, what: str) -> str:
        return what

    async def _stream(self, what: str) -> AsyncIterator[str]:
        yield what


@pytest.mark.rule("B1")
def test_a_guarded_function_is_refused_before_and_works_after(life: Life) -> None:
    """Whatever its colour; the error is the gate's."""

    async def use(gate: Gate[str]) -> list[Any]:
        shop = Shop(gate, wait=False)
        assert not gate.is_open
        with pytest.raises(NotReadyError, match="'slow' is not ready"):
            gate.check()
        for call in (shop.partial, functools.partial(shop.plain, "early")):
            with pytest.raises(NotReadyError, match="'slow' is not ready"):
                call()
        with pytest.raises(NotReadyError):
            await shop.coroutine("early")
        with pytest.raises(NotReadyError):
            await shop.stream("early").__anext__()
        value = await gate.wait()
        assert gate.is_open
        stream = [item async for item in shop.stream("stream")]
        return [value, shop.plain("plain"), await shop.coroutine("coroutine"), stream, life.now()]

    assert ["slow", "plain", "coroutine", ["stream"], 1] == held(Registry("shop"), life, use)


def test_a_guarded_function_may_wait(life: Life) -> None:
    """Sync ones in a thread; on the loop they cannot, and are refused."""

    async def use(gate: Gate[str]) -> list[Any]:
        shop = Shop(gate, wait=True)
        with pytest.raises(NotReadyError):
            shop.plain("on the loop")
        coroutine = await shop.coroutine("coroutine")
        stream = [item async for item in shop.stream("stream")]
        plain = await life.in_thread(lambda: shop.plain("plain"))
        return [coroutine, stream, plain, life.now()]

    assert ["coroutine", ["stream"], "plain", 1] == held(Registry("shop"), life, use)


def test_a_guard_keeps_name_and_signature(life: Life) -> None:
    """It is the same function, behind a gate."""

    async def use(gate: Gate[str]) -> Any:
        @gate.guard
        async def place(order: int) -> int:
            """Place an order."""
            return order

        await gate.wait()
        return place.__name__, place.__doc__, await place(7)

    assert ("place", "Place an order.", 7) == held(Registry("shop"), life, use)


@pytest.mark.rule("B2")
def test_a_sync_start_that_waits_for_who_waits_for_it_is_refused(life: Life) -> None:
    """At once, with the path, and not after the time of the start."""
    shop = Registry("shop")

    @shop.component
    def first() -> Iterator[str]:
        system = Lifetime.current().system
        with pytest.raises(DeadlockError, match="'first' -> waits for 'second'"):
            system.gate(second).wait_in_thread()
        yield "first"

    @shop.component
    async def second(first: str = requires(first)) -> str:
        return first

    assert life.live(shop).error is None
    assert life.now() == 0


def test_a_sync_start_may_wait_for_another(life: Life) -> None:
    """In its own thread; the gate says when it opens."""
    shop = Registry("shop")
    slow = part(shop, "slow", start=2)

    @shop.component
    def user() -> str:
        value = Lifetime.current().system.gate(slow).wait_in_thread()
        life.note("opened")
        return value

    async def body(system: System) -> str:
        return system[user]

    assert "slow" == life.live(shop, body).result
    assert ["2 opened"] == life.log


@pytest.mark.rule("B3")
def test_who_waits_in_a_thread_gets_the_error_of_what_failed(life: Life) -> None:
    """And ClosedError where it will never be ready."""
    shop = Registry("shop")
    broken = part(shop, "broken", start=fail, optional=True)

    @shop.component
    def user() -> str:
        gate = Lifetime.current().system.gate(broken)
        with pytest.raises(Exception, match="'broken' did not start: ValueError: broken"):
            gate.wait_in_thread()
        return "user"

    async def body(system: System) -> Gate[str]:
        return system.gate(user)

    gate: Gate[str] = life.live(shop, body).result
    with pytest.raises(ClosedError):
        gate.check()
    with ThreadPoolExecutor() as pool, pytest.raises(ClosedError):
        pool.submit(gate.wait_in_thread).result()


def test_a_wait_in_a_thread_has_an_end(life: Life) -> None:
    """After its timeout it says who is not ready, as a check does."""

    async def use(gate: Gate[str]) -> str:
        with pytest.raises(NotReadyError, match="'slow' is not ready: starting"):
            await life.in_thread(lambda: gate.wait_in_thread(0.25))
        life.note("not ready")
        with pytest.raises(RuntimeError, match="would block the event loop"):
            gate.wait_in_thread()
        return repr(gate)

    assert "<Gate of 'slow'>" == held(Registry("shop"), life, use)
    assert ["0.25 not ready"] == life.log


class Traced(Instrument):
    """Has a variable set while a thread waits, as tracing does; it may fail, before or after."""

    def __init__(self, fails: str = "") -> None:
        self._fails = fails

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        token = span.set("waits")
        if self._fails == "before":
            raise ValueError(self._fails)
        yield
        span.reset(token)
        if self._fails == "after":
            raise ValueError(self._fails)


def test_an_instrument_may_set_a_variable_while_a_thread_waits(life: Life) -> None:
    """It ends the wait in the context in which it began it, whatever the wait ended by."""
    shop = Registry("shop")
    slow = part(shop, "slow", start=2)

    @shop.component
    def user() -> str:
        gate = Lifetime.current().system.gate(slow)
        with pytest.raises(NotReadyError):
            gate.wait_in_thread(1)
        return gate.wait_in_thread()

    async def body(system: System) -> str:
        return system[user]

    with instrumented(Traced()):
        assert "slow" == life.live(shop, body).result
    assert 2 == life.now()


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_an_instrument_raises_is_raised_in_the_thread_that_waits(
    life: Life, when: str
) -> None:
    """It hangs nobody, and is no fault of the engine: the others start, and stop."""
    shop = Registry("shop")
    slow = part(shop, "slow", start=2, stop=lambda: life.note("slow stopped"))

    @shop.component(optional=True)
    def user() -> str:
        return Lifetime.current().system.gate(slow).wait_in_thread()

    async def body(system: System) -> str:
        with pytest.raises(StartError, match=f"ValueError: {when}"):
            system[user]
        return system[slow]

    with instrumented(Traced(when)):
        lived = life.live(shop, body)
    assert "slow" == lived.result
    assert lived.error is None
    assert ["2 slow stopped"] == life.log
