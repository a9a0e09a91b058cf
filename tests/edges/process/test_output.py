from __future__ import annotations

import contextlib
import logging
import os
import re
import select
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from lifecycle.integrations import process
from lifecycle.integrations.process import _log
from tests.e2e.kit import GENEROUS
from tests.edges.process.kit import STAY, live, py, sh, shop_of, shs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle import System
    from tests.edges.witness import Witness

pytestmark = pytest.mark.anyio

FLOOD = """
import os, sys
gate, witness, size = sys.argv[1:]
witness = os.open(witness, os.O_WRONLY)
for number in range(int(size)):
    os.write(1 + number % 2, b"x" * 999 + b"\\n")
os.write(witness, b"done\\n")
open(gate).readline()
"""


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, ...]]:
    """Give what the program has written, as it was logged: logger, stream, text."""
    return [
        (one.name, one.__dict__["stream"], one.getMessage())
        for one in caplog.records
        if "stream" in one.__dict__
    ]


async def test_every_line_is_logged(witness: Witness, caplog: pytest.LogCaptureFixture) -> None:
    """To a logger of its own, with its component, its stream, and its process; to the last one."""
    text = f"echo one; echo two >&2; trap 'printf end; exit 0' TERM; {STAY}"
    pids: list[int] = []

    async def body(_: System) -> None:
        assert await witness.word() == "up"
        pids.append(part.pid)

    part = sh(text, witness)
    assert (await live(shop_of(part), body)).errors == []

    logger = "lifecycle.process.part"
    said = sorted(lines(caplog))
    assert said == [(logger, "stderr", "two"), (logger, "stdout", "end"), (logger, "stdout", "one")]
    records = [one for one in caplog.records if "stream" in one.__dict__]
    assert {one.levelno for one in records} == {logging.INFO}
    assert {(one.__dict__["component"], one.__dict__["worker"]) for one in records} == {
        ("part", None)
    }
    assert [{one.__dict__["pid"] for one in records}] == [{*pids}]


async def test_of_several_each_has_its_logger(
    witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    """By its number; what is set for the component holds for all of them."""
    part = shs(2, f"echo hello; {STAY}", witness)

    async def body(_: System) -> None:
        assert [await witness.word() for _ in range(2)] == ["up"] * 2

    await live(shop_of(part), body)

    assert sorted(lines(caplog)) == [
        (f"lifecycle.process.part.{number}", "stdout", "hello") for number in range(2)
    ]
    workers = {one.__dict__["worker"] for one in caplog.records if "stream" in one.__dict__}
    assert workers == {0, 1}


async def test_what_is_not_wanted_costs_nothing(
    witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    """A level that is not enabled is not written."""
    caplog.set_level(logging.WARNING, "lifecycle.process.part")

    async def body(_: System) -> None:
        assert await witness.word() == "up"

    await live(shop_of(sh(f"echo hello; {STAY}", witness)), body)

    assert lines(caplog) == []


class Handler(logging.Handler):
    """A handler that does something with each line."""

    def __init__(self, do: Callable[[logging.LogRecord], object]) -> None:
        super().__init__()
        self._do = do

    def emit(self, record: logging.LogRecord) -> None:
        self._do(record)


@contextlib.contextmanager
def handling(do: Callable[[logging.LogRecord], object]) -> Iterator[None]:
    """Have something done with each line of the program."""
    logger, handler = logging.getLogger("lifecycle.process.part"), Handler(do)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True


def flood(witness: Witness, size: int) -> process.Process:
    """Make a component that writes so many kilobytes, says so, and then waits."""
    program = py(FLOOD, str(witness.gate_path), str(witness.path), str(size))
    return process.process(program)


@pytest.mark.usefixtures("impatient")
async def test_a_stuck_log_holds_nobody_up(
    witness: Witness, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the program, which writes 30 MB, nor the event loop, nor the end; it is counted."""
    stuck = threading.Event()
    handled: list[str] = []

    def handle(record: logging.LogRecord) -> None:
        stuck.wait(GENEROUS)
        handled.append(record.getMessage())

    async def body(_: System) -> None:
        assert await witness.word() == "done"

    with handling(handle):
        lived = await live(shop_of(flood(witness, 30_000)), body)
        assert lived.errors == []
        assert handled == []
        told = (
            r"lifecycle: \d+ lines of the output of 'part' are not logged yet 1 s after its end\n"
        )
        assert re.fullmatch(told, capsys.readouterr().err)
        stuck.set()
        for thread in threading.enumerate():
            if thread.name == "lifecycle part: log":
                await anyio.to_thread.run_sync(thread.join)

    counts = [line for line in handled if "dropped" in line]
    kept = [line for line in handled if line.startswith("xxx")]
    dropped = sum(int(line.partition(" ")[0]) for line in counts)
    assert dropped + len(kept) == 30_000
    assert dropped > 0
    assert len(kept) <= _log.MOST_TEXT / 999 + 1  # one that is kept no more: the handler has it


async def test_a_busy_event_loop_holds_no_program_up(witness: Witness) -> None:
    """A program writes 1 MB, more than its pipe holds, while the event loop stands still."""

    async def body(_: System) -> None:
        reader = os.open(witness.path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            assert select.select([reader], [], [], GENEROUS)[0]  # blocks on purpose: the event loop
        finally:
            os.close(reader)
        assert await witness.word() == "done"

    assert (await live(shop_of(flood(witness, 1_000)), body)).errors == []


async def test_a_flood_does_not_hold_the_event_loop_up(witness: Witness) -> None:
    """While a program writes as fast as it can, tasks go on, and it can be ended."""
    turns = 0

    async def body(system: System) -> None:
        nonlocal turns
        for _ in range(30):
            await anyio.sleep(0.001)
            turns += 1

    with handling(lambda _: None):
        lived = await live(shop_of(sh("exec yes", witness)), body)

    assert (lived.errors, turns) == ([], 30)
    await witness.all_gone()


async def test_a_handler_that_fails_loses_its_line_only(witness: Witness) -> None:
    """Those after it are logged."""
    handled: list[str] = []

    def handle(record: logging.LogRecord) -> None:
        handled.append(record.getMessage())
        raise RuntimeError(record.getMessage())

    async def body(_: System) -> None:
        assert await witness.word() == "up"

    with handling(handle):
        await live(shop_of(sh(f"echo one; echo two; {STAY}", witness)), body)

    assert [line for line in handled if line in ("one", "two")] == ["one", "two"]


async def test_what_has_left_the_group_holds_nobody_up(witness: Witness) -> None:
    """A daemon in a session of its own may keep the pipes open, and write without end."""
    daemon: list[int] = []

    async def body(_: System) -> None:
        words = {await witness.word() for _ in range(2)}
        daemon.extend(int(word) for word in words - {"up"})

    part = sh(f"setsid sh -c 'echo $$ >&9; exec yes' & {STAY}", witness)
    try:
        with handling(lambda _: None):
            lived = await live(shop_of(part), body)
        assert lived.errors == []
    finally:
        os.kill(daemon[0], 9)
    await witness.all_gone()


def opened() -> int:
    """Count the open descriptors."""
    return len([*Path("/proc/self/fd").iterdir()])


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
async def test_nothing_is_left_open(witness: Witness) -> None:
    """No descriptor and no thread, after programs that ran, and one that did not start."""

    async def body(_: System) -> None:
        assert await witness.word() == "up"

    never = process.line("never")
    await live(shop_of(sh(STAY, witness)), body)  # what is opened once stays open
    before = opened()
    for ready in (process.line("up now"), process.notify()):
        with anyio.move_on_after(GENEROUS):
            await live(shop_of(sh(f"echo up now; {STAY}", witness, ready=ready), start_timeout=0.3))
    await live(shop_of(process.process(["/no/such"], ready=never)))
    assert opened() == before
    threads = [one for one in threading.enumerate() if one.name.startswith("lifecycle")]
    for thread in threads:
        thread.join(GENEROUS)  # it has said that it is over, and has yet to end
    assert not [thread for thread in threads if thread.is_alive()]
