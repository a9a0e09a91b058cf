"""That nothing is left of programs when this process is gone, however that went."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.kit import Fifo, running_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOURCE = """
import os, sys, threading, time
import lifecycle
from lifecycle import Lifetime, Registry, Settings
from lifecycle.integrations import process

BACKEND, HOW, FIFO = sys.argv[1:]
STAY = f"exec 9>'{FIFO}'; trap '' TERM HUP INT QUIT; (sleep 1000) & echo up; sleep 1000 & wait"

shop = Registry("shop")
shop.add(process.pool(2, ["sh", "-c", STAY], ready=process.line("up")), name="part")

@shop.service(requires=["part"])
async def ends(life: Lifetime) -> None:
    life.started()
    sys.stdout.write("> up\\n")  # in one piece, whatever the log writes meanwhile
    if HOW == "os._exit":
        os._exit(3)
    if HOW == "os.abort":
        os.abort()
    await life.wait_draining()

@shop.component(thread=False)
def stuck():
    yield
    if HOW == "stuck":
        time.sleep(9)  # blocks on purpose: the event loop, past the grace period

def run():
    lifecycle.run(shop, Settings(grace_period=2), backend=BACKEND)

if HOW == "thread":
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
else:
    run()
"""
WAYS: dict[str, tuple[int | None, int]] = {
    "killed": (signal.SIGKILL, -signal.SIGKILL),
    "thread": (signal.SIGKILL, -signal.SIGKILL),
    "os._exit": (None, 3),
    "os.abort": (None, -signal.SIGABRT),
    "stuck": (signal.SIGTERM, 75),
}


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Fifo]:
    """Give a FIFO that the programs of a test hold open."""
    fifo = Fifo(tmp_path)
    yield fifo
    fifo.close()


@pytest.mark.parametrize(
    ("way", "backend"),
    [*((way, "asyncio") for way in WAYS), ("killed", "uvloop"), ("killed", "trio")],
)
def test_nothing_is_left(tmp_path: Path, fifo: Fifo, way: str, backend: str) -> None:
    """Neither of the programs, deaf as they are, nor of what they have started."""
    number, code = WAYS[way]
    with running_source(tmp_path, SOURCE, backend, way, str(fifo.path)) as process:
        process.until("^> up$")
        if number is not None:
            process.send(number)

        ended = process.wait()
        # The watchdog has a twentieth of the grace period; where that is not enough on a busy
        # machine, faulthandler ends the process, by a code of its own.
        assert ended == code or (way, ended) == ("stuck", 1), process.output
        assert fifo.read_to_the_end() == ""
