"""One program for each exit code: how it ends is its second argument."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import anyio

import lifecycle
from lifecycle import Lifetime, Registry, Settings, preflight, requires
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
END = sys.argv[2]
shop = Registry("shop")


@shop.component
async def database() -> AsyncIterator[str]:
    """May fail when it is stopped."""
    yield "database"
    if END.endswith("and a stop fails"):
        message = "the database is on fire"
        raise ValueError(message)
    if END == "a stop exits":
        sys.exit(9)
    if END == "a stop is interrupted":
        raise KeyboardInterrupt


@shop.component(optional=END == "an optional start fails")
async def broker(database: str = requires(database)) -> str:
    """May fail when it is started."""
    if END == "a start exits":
        sys.exit(9)
    if "start fails" in END:
        message = "there is no broker"
        raise ConnectionError(message)
    return "broker"


async def main_fails() -> int:
    """A crash."""
    message = "no more"
    raise RuntimeError(message)


@shop.main(enabled=END.startswith("main "))
async def main(database: str = requires(database)) -> int | None:
    """Ends the program, with a code or in another way."""
    if END == "main raises":
        return await main_fails()
    if END == "main exits":
        sys.exit("in words, which is 1")
    return {"3": 3, "0": 0, "256": 256, "None": None}[END.partition("returns ")[2]]


@shop.service(enabled=not END.startswith("main "))
async def work(life: Lifetime, database: str = requires(database)) -> None:
    """Asks for the end, or crashes."""
    life.started()
    system = life.system
    if END == "asked for":
        system.shut_down()
    elif END == "asked for with 3":
        system.shut_down("first", exit_code=3)
        system.shut_down("second", exit_code=4)
    elif END == "asked for with 0, then 4":
        system.shut_down("first")
        system.shut_down("second", exit_code=4)
    elif END.startswith("asked for with 3,"):
        system.shut_down("all is well", exit_code=3)
    elif END == "asked for with 256":
        system.shut_down(exit_code=256)
    elif END.startswith("a crash"):
        message = "no more"
        raise RuntimeError(message)
    elif END == "a service exits":
        sys.exit(9)
    elif END.endswith("a child of a service exits"):
        async with anyio.create_task_group() as group:
            group.start_soon(exits_in_a_child)
            await life.wait_draining()
    elif END == "work is cut off":
        system.shut_down()
        with life.hold("work"):
            await anyio.sleep_forever()
    else:
        system.shut_down()


async def exits_in_a_child() -> None:
    """For this asyncio ends its loop."""
    if END.startswith("asked for with 75"):
        Lifetime.current().system.shut_down(exit_code=75)
    sys.exit(9)


def exits() -> None:
    """A check that does what programs do."""
    sys.exit(4)


def passes_not() -> bool:
    """A check that fails."""
    return False


CHECKS: dict[str, list[Any]] = {
    "a command exits with 7": [preflight.command(["sh", "-c", "exit 7"])],
    "the first command exits later": [
        preflight.command(["sh", "-c", "sleep 0.5; exit 8"]),
        preflight.command(["sh", "-c", "exit 7"]),
    ],
    "a check fails before a command": [passes_not, preflight.command(["sh", "-c", "exit 7"])],
    "a command is killed": [preflight.command(["sh", "-c", "kill -KILL $$"])],
    "a command cannot be executed": [preflight.command(["/etc/hostname"])],
    "a command is not found": [preflight.command(["/nowhere/at-all"])],
    "a command takes too long": [preflight.command(["sleep", "1000"], timeout=0.3)],
    "a command is tolerated": [preflight.command(["sh", "-c", "exit 7"], fail_on_error=False)],
    "a check fails": [passes_not],
    "a check exits": [exits],
}
for check in CHECKS.get(END, []):
    shop.preflight(check)

if END == "a circle":
    shop.component(lambda: None, name="one", requires=["two"])
    shop.component(lambda: None, name="two", requires=["one"])

grace = 1.5 if END.endswith("work is cut off") else 30
lifecycle.run(shop, None if END == "settings" else Settings(grace_period=grace), backend=BACKEND)
say("run returned")
