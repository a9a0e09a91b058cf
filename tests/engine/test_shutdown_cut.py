"""Work that is cut off: whose, when, and for how long it is waited for after that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from lifecycle import Registry, Settings, System
from lifecycle.errors import WorkCancelledError
from tests.engine.parts import asked, end, part, unwinding

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle import Component
    from tests.engine.kit import Life

GRACE = Settings(grace_period=10, close_reserve=2)
"""The drain is over after 7.5 s: 10, less 0.5 and 2."""


async def work(
    life: Life, system: System, of: Component[str] | None, until_unwound: Callable[[], object]
) -> None:
    """Be work that is cut off, and takes some time to unwind."""
    name = "system" if of is None else of.name
    with pytest.raises(WorkCancelledError), system.hold(name, component=of):
        await until_unwound()
    life.note(f"work of {name} has unwound")


@pytest.mark.rule("D4")
@pytest.mark.parametrize("other", ["component", "system"])
def test_each_work_has_its_own_time_to_unwind(life: Life, other: str) -> None:
    """What was cut off earlier, and goes on, takes nothing of the time of what was cut later."""
    shop = Registry("shop")
    jobs = part(shop, "jobs", drain_timeout=1.4, stop=lambda: life.note("jobs stops"))
    rude = part(shop, "rude", drain_timeout=1)

    async def body(system: System) -> None:
        async with anyio.create_task_group() as group:
            of = rude if other == "component" else None
            group.start_soon(work, life, system, of, unwinding(5))
            group.start_soon(work, life, system, jobs, unwinding(0.3))
            await anyio.wait_all_tasks_blocked()
            await asked(system)

    life.live(shop, body, Settings(drain_timeout=1))

    assert ["1.7 work of jobs has unwound", "1.7 jobs stops"] == [
        line for line in life.log if "jobs" in line
    ]


@pytest.mark.rule("D4")
def test_what_was_cut_just_before_the_end_of_all_has_its_time(life: Life) -> None:
    """The end of the time of all moves nobody's own: each is waited for 0.5 s, and no longer."""
    shop = Registry("shop")
    early = part(shop, "early", drain_timeout=7.3)
    late = part(shop, "late")

    async def body(system: System) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(work, life, system, early, unwinding(5))
            group.start_soon(work, life, system, late, unwinding(5))
            await anyio.wait_all_tasks_blocked()
            await asked(system)

    life.live(shop, body, GRACE, observers=[life.observe])

    assert [
        "7.3 early lost ('early',)",
        "7.5 late lost ('late',)",
        "7.8 early drained",
        "8 late drained",
        "8 = closing",
    ] == [line for line in end(life) if line.startswith(("7", "8 late drained", "8 ="))]
