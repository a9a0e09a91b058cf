"""What is put around the hooks of a system."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Lifetime, Registry, System
from lifecycle.instruments import HookCall, Instrument, instrumented
from tests.engine.parts import asked, fail, ignoring, part

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tests.engine.kit import Life


class Notes(Instrument):
    """Writes down what it is around."""

    def __init__(self, life: Life, name: str = "") -> None:
        self._life = life
        self._name = name

    async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        who = f"{self._name}{call.component}.{call.hook}"
        self._life.note(f"{who} {call.attempt}")
        result = await proceed()
        self._life.note(f"{who} done")
        return result

    @contextlib.contextmanager
    def working(self, component: str) -> Iterator[None]:
        self._life.note(f"{component} works")
        yield
        self._life.note(f"{component} rests")


def everything(life: Life) -> Registry:
    """Declare one component of each kind that has hooks."""
    shop = Registry("shop")
    database = part(shop, "database", start=1, drain=1, stop=1)

    @database.check
    async def _(_: str) -> None:
        life.note("(check)")

    class Client:
        async def start(self) -> None:
            life.note("(client starts)")

        async def stop(self) -> None:
            life.note("(client stops)")

    shop.add(Client(), name="client", after=[database])

    @shop.service(after=[database, "client"])
    async def orders(life: Lifetime) -> None:
        life.started()
        await life.wait_draining()

    return shop


def test_an_instrument_is_around_every_hook(life: Life) -> None:
    """In the order of the calls; a service has one."""
    shop = everything(life)

    async def body(system: System) -> None:
        await system.check()

    with instrumented(Notes(life)):
        life.live(shop, body)
    assert [
        "0 database.start 1",
        "1 database.start done",
        "1 client.start 1",
        "1 (client starts)",
        "1 client.start done",
        "1 orders.run 1",
        "1 database.check 1",
        "1 (check)",
        "1 database.check done",
        "1 orders.run done",
        "1 database.drain 1",
        "2 database.drain done",
        "2 client.stop 1",
        "2 (client stops)",
        "2 client.stop done",
        "2 database.stop 1",
        "3 database.stop done",
    ] == life.log


def test_instruments_nest(life: Life) -> None:
    """What was put around last is nearest to the hook; outside they do nothing."""
    shop = Registry("shop")
    part(shop, "database")
    with instrumented(Notes(life, "outer ")), instrumented(Notes(life, "inner ")):
        life.live(shop)
    life.live(shop)
    assert ["outer database.start 1", "inner database.start 1", "inner database.start done"] == (
        life.words[:3]
    )
    assert 8 == len(life.words)


def test_an_instrument_may_fail_a_hook(life: Life) -> None:
    """What it raises is what the hook has raised; a retry calls it again."""
    shop = Registry("shop")
    part(shop, "database", retry=2)

    class Fails(Instrument):
        async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
            if call.hook == "start" and call.attempt < 3:
                message = "not yet"
                raise OSError(message)
            return await proceed()

    with instrumented(Fails()):
        assert life.live(shop).error is None


def test_an_instrument_that_goes_on_when_its_hook_has_failed(life: Life) -> None:
    """The hook is abandoned, with the stack of where it is now: in the instrument."""
    shop = Registry("shop")
    part(shop, "database", stop=fail)

    class Lingers(Instrument):
        async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
            try:
                return await proceed()
            finally:
                if call.hook == "stop":
                    await ignoring(100)()

    with instrumented(Lingers()):
        lived = life.live(shop, asked)
    assert lived.report is not None
    (abandoned,) = lived.report.abandoned
    assert "await ignoring(100)()" in abandoned.stack
    assert "await anyio.sleep(seconds)" in abandoned.stack


@pytest.mark.parametrize("how", ["raises", "returns", "waits"])
def test_a_stop_is_called_whatever_an_instrument_does(life: Life, how: str) -> None:
    """What was opened is closed: nothing but the stop could do it."""
    shop = Registry("shop")
    part(shop, "database", stop=lambda: life.note("closed"))

    class Fails(Instrument):
        async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
            if call.hook != "stop":
                return await proceed()
            if how == "waits":
                await anyio.sleep_forever()
            if how == "raises":
                message = "the collector is gone"
                raise OSError(message)
            return None

    with instrumented(Fails()), instrumented(Notes(life)):
        lived = life.live(shop)

    assert lived.report is not None
    assert ["database.stop 1", "closed", "database.stop done"] == life.words[-3:]
    assert (how != "returns") == bool(lived.report.errors)


@pytest.mark.parametrize("given", [3, None, Instrument], ids=repr)
def test_what_is_no_instrument_is_refused(life: Life, given: Any) -> None:
    """By name, and before any hook fails because of it; for the class it says what to do."""
    with pytest.raises(TypeError, match=r"instrumented\(\) takes an Instrument, and "):
        instrumented(given)

    async def body(system: System) -> None:
        with pytest.raises(TypeError, match=r"instrument\(\) takes an Instrument, and "):
            system.instrument(given)

    shop = Registry("shop")
    part(shop, "database")
    assert life.live(shop, body).error is None


@pytest.mark.rule("K1")
def test_an_instrument_runs_in_the_components_task(life: Life) -> None:
    """It may hold a task group open from a generator's start to its stop."""
    shop = Registry("shop")
    part(shop, "database")
    tasks: list[int] = []

    class Holds(Instrument):
        async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
            tasks.append(anyio.get_current_task().id)
            if call.hook == "start":
                self.group = anyio.create_task_group()
                await self.group.__aenter__()
                self.group.start_soon(anyio.sleep_forever)
                return await proceed()
            await proceed()
            self.group.cancel_scope.cancel()
            return await self.group.__aexit__(None, None, None)

    with instrumented(Holds()):
        lived = life.live(shop)
    assert lived.error is None
    assert 2 == len(tasks)
    assert 1 == len(set(tasks))


def test_an_instrument_is_told_when_a_thread_works_and_can_work_there(life: Life) -> None:
    """Sync hooks have `in_thread`, which calls in their own thread; async ones have none."""
    shop, idents = Registry("shop"), list[int]()

    @shop.component
    def database() -> Iterator[str]:
        idents.append(threading.get_ident())
        yield "database"

    part(shop, "client")

    class InThread(Instrument):
        async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
            assert (call.in_thread is None) is (call.component == "client")
            if call.in_thread is not None:
                idents.append(await call.in_thread(threading.get_ident))
            return await proceed()

    with instrumented(Notes(life)), instrumented(InThread()):
        assert life.live(shop).error is None
    assert 3 == len(idents)
    assert 1 == len(set(idents))
    assert 5 == life.words.count("database works") == life.words.count("database rests")
