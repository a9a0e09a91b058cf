"""Faults of the engine itself: they end a run with an error, and never hang it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from unittest import mock

import anyio
import pytest

from lifecycle import Registry, System, running
from lifecycle._core.machine import Machine
from lifecycle._engine import companions
from lifecycle._engine.gates import Gates
from lifecycle._engine.health import Inquiry
from lifecycle._engine.starts import Starts
from lifecycle._engine.stops import Stops
from lifecycle.errors import ClosedError, StopError, leaf
from tests.engine.kit import Life, Noted, Spy
from tests.engine.parts import fail, part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FAULT = "a fault of lifecycle itself"
COMPANION = companions._One  # noqa: SLF001  there is no other way to be at fault


@pytest.mark.parametrize("fact", ["begin", "started", "shut_down", "drained", "stopped"])
def test_a_fault_of_the_engine_is_raised(life: Life, fact: str) -> None:
    """Whichever step it happens in, nobody is left waiting, and the fault is what is raised."""
    shop = Registry("shop")
    shop.add(Noted(life, "web"), name="web")

    async def main() -> None:
        async with running(shop):
            life.note("body")

    fault = RuntimeError(FAULT)
    with (
        mock.patch.object(Machine, fact, side_effect=fault),
        pytest.raises(BaseException) as caught,  # noqa: PT011  it may be in groups
    ):
        life.run(main)
    assert leaf(caught.value) is fault


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        (Gates, "open_or_give_up"),
        (Starts, "start_ended"),
        (Stops, "has_stopped"),
        (Inquiry, "_say"),
        (COMPANION, "_has_started"),
        (COMPANION, "_has_ended"),
    ],
)
@pytest.mark.parametrize("fault", [RuntimeError(FAULT), BaseException(FAULT)], ids=type)
def test_a_fault_in_a_task_of_the_engine_is_raised(
    life: Life, kind: type, step: str, fault: BaseException
) -> None:
    """What a component, a check or a companion did is told in its task: that may fail as well."""
    shop = Registry("shop")
    web = part(shop, "web", stop=1)
    web.check(lambda _: anyio.sleep(1))
    part(shop, "broken", start=fail, optional=True)

    async def body(system: System) -> None:
        await system.check()

    with mock.patch.object(kind, step, side_effect=fault):
        lived = life.live(shop, body, companions=[Spy()])
    assert lived.error is not None
    assert leaf(lived.error) is fault


def test_a_fault_in_an_alarm_is_raised(life: Life) -> None:
    """What the engine does at a certain time may fail as well."""
    shop = Registry("shop")

    @shop.component(drain_timeout=1)
    async def thing() -> AsyncIterator[None]:
        yield

    thing.drain(lambda _: anyio.sleep(50))
    fault = RuntimeError(FAULT)

    async def body(system: System) -> None: ...

    with mock.patch.object(Machine, "drain_timed_out", side_effect=fault):
        lived = life.live(shop, body)
    assert lived.error is not None
    assert leaf(lived.error) is fault


def test_a_fault_after_the_report_is_raised(life: Life) -> None:
    """It comes while abandoned work is waited for: it is told, and nothing goes round for ever."""
    shop = Registry("shop")
    engine: Any = None

    async def stop() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(60)
        engine.apply(engine.machine.closed)  # not twice

    shop.add(Noted(life, "web"), name="web", stop=stop, stop_timeout=1)

    async def main() -> None:
        nonlocal engine
        async with running(shop) as system:
            engine = system._engine  # noqa: SLF001  there is no other way to be at fault

    with pytest.raises(StopError) as caught:
        life.run(main)
    (note,) = getattr(caught.value, "__notes__", [])
    assert FAULT in note


@pytest.mark.parametrize("in_thread", [False, True])
def test_who_waits_at_a_gate_is_told_of_the_fault(life: Life, *, in_thread: bool) -> None:
    """The component will never be ready: that is said, and what the fault was."""
    shop = Registry("shop")
    part(shop, "database", start=1)
    web = part(shop, "web", requires=["database"])
    fault = RuntimeError(FAULT)

    async def wait(system: System) -> None:
        gate = system.gate(web)
        with pytest.raises(ClosedError, match="by a fault of lifecycle itself") as caught:
            await (life.in_thread(gate.wait_in_thread) if in_thread else gate.wait())
        assert caught.value.__cause__ is fault
        life.note("told")

    async def main() -> None:
        async with anyio.create_task_group() as group:

            @contextlib.asynccontextmanager
            async def spreading(system: System) -> AsyncIterator[None]:
                group.start_soon(wait, system)
                yield

            with contextlib.suppress(BaseException):
                async with running(shop, companions=[spreading]):
                    life.note("body")

    with mock.patch.multiple(Machine, started=mock.DEFAULT, shut_down=mock.DEFAULT) as facts:
        for fact in facts.values():  # nothing that follows decides it either
            fact.side_effect = fault
        life.run(main)
    assert ["told"] == life.words


def test_who_waits_for_the_report_is_told_of_the_fault(life: Life) -> None:
    """There is no report: that is said, and what the fault was."""
    shop = Registry("shop")
    part(shop, "web")
    fault = RuntimeError(FAULT)

    async def wait(system: System) -> None:
        with pytest.raises(ClosedError, match="by a fault of lifecycle itself") as caught:
            await system.closed()
        assert caught.value.__cause__ is fault
        life.note("told")

    async def main() -> None:
        async with anyio.create_task_group() as group:
            with contextlib.suppress(BaseException):
                async with running(shop) as system:
                    group.start_soon(wait, system)
                    await anyio.wait_all_tasks_blocked()

    with mock.patch.object(Machine, "shut_down", side_effect=fault):
        life.run(main)
    assert ["told"] == life.words
