from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Retry, Settings, events
from lifecycle.integrations import process
from tests.edges.process.kit import STAY, Lived, live, script, sh, shop_of, shs

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle import System
    from tests.edges.witness import Witness

pytestmark = pytest.mark.anyio

ENDS: dict[str, tuple[str, str]] = {
    "exit 3": (
        "echo disk full >&2; exit 3",
        "it exited with code 3, and was to run. The last lines of its stderr:\n  | disk full",
    ),
    "exit 0": (
        "exit 0",
        (
            "it exited with code 0, and was to run; a program that puts itself into the background "
            "has to be told to stay in the foreground"
        ),
    ),
    "crashed": ("kill -SEGV $$", "it was killed by signal SIGSEGV, and was to run"),
    "killed": (
        "kill -KILL $$",
        (
            "it was killed by signal SIGKILL by somebody else (the kernel does that where memory "
            "runs out), and was to run"
        ),
    ),
}


async def runs(shop: Any, settings: Settings | None = None, body: Any = None) -> Lived:
    """Run until it ends by itself."""

    async def wait(system: System) -> None:
        if body is not None:
            await body(system)
        await system.closed()

    return await live(shop, wait, settings)


@pytest.mark.parametrize("end", ENDS)
async def test_its_unexpected_end_is_a_crash(witness: Witness, end: str) -> None:
    """Whatever its code: the system is shut down, and ends with 70; its children are gone."""
    last, problem = ENDS[end]
    text = f"(trap '' TERM; sleep 1000) & {witness.wait_for_go}; {last}"

    async def body(_: System) -> None:
        witness.go()

    lived = await runs(shop_of(sh(text, witness)), None, body)

    assert lived.errors == [f"CrashedError: 'part' crashed: ProcessError: {problem}"]
    assert lived.exit_code == 70
    await witness.all_gone()


async def test_an_optional_one_may_end(witness: Witness) -> None:
    """The system goes on, degraded, and says so."""
    part = sh(f"{witness.wait_for_go}; exit 3", witness)

    async def body(system: System) -> None:
        witness.go()
        async for status in system.changes():
            if status.components["part"].state == "failed":
                return

    lived = await live(shop_of(part, optional=True), body)

    assert (lived.errors, lived.exit_code) == ([], 0)


async def test_it_is_started_again(witness: Witness) -> None:
    """With `restart`; meanwhile the service is out of rotation, and the component stays what it is.

    The gate stays open: whoever uses it has to connect again, as to any program elsewhere.
    """
    text = f"echo $$ >&9; {witness.wait_for_go}; echo ready; {STAY.removeprefix('echo up >&9; ')}"
    part = sh(text, witness, ready=process.line("ready"), restart=Retry(1, delay=0))
    told: list[str | None] = []
    changed = anyio.Event()

    async def body(system: System) -> None:
        nonlocal changed

        def watch(event: events.Event) -> None:
            if isinstance(event, events.AvailabilityChanged):
                told.append(event.unavailable)
                changed.set()

        first = int(await witness.word())
        assert part.pid == first
        system.observe(watch)
        os.kill(first, signal.SIGKILL)
        second = int(await witness.word())
        while len(told) < 1:
            await changed.wait()
        assert part.pids == ()
        assert system.status().components["part"].state == "ready"
        changed = anyio.Event()
        witness.go()
        while len(told) < 2:
            await changed.wait()
        assert part.pid == second != first
        assert part.restarted == 1

    witness.go()
    lived = await live(shop_of(part), body)

    assert lived.errors == []
    assert told == ["it has ended, and is started again", None]
    await witness.all_gone()


async def test_too_many_ends_are_a_crash(
    witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    """More than so many within the period; each is in the log, with what it wrote last."""
    part = sh("echo up >&9; echo no >&2; exit 3", witness, restart=Retry(2, delay=0.01))

    lived = await runs(shop_of(part))

    quoted = ". The last lines of its stderr:\n  | no"
    assert lived.errors == [
        (
            "CrashedError: 'part' crashed: ProcessError: it was started again 2x within 60 s, and "
            f"is not any more: it exited with code 3, and was to run{quoted}"
        )
    ]
    assert lived.exit_code == 70
    assert await witness.all_gone() == "up\n" * 3
    warnings = [
        one.getMessage()
        for one in caplog.records
        if one.levelname == "WARNING" and one.name.startswith("lifecycle.process")
    ]
    assert warnings == [
        f"part: it exited with code 3, and was to run{quoted}; started again in {pause} s"
        for pause in ("0.01", "0.02")
    ]


async def test_a_restart_that_does_not_start_counts(witness: Witness, tmp_path: Path) -> None:
    """As one more end: the limit holds for what has gone from the disk meanwhile, too."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho ready\n{witness.wait_for_go}\n")
    program.chmod(0o755)
    part = process.process([program], ready=process.line("ready"), restart=Retry(3, delay=0))

    async def body(_: System) -> None:
        program.unlink()
        witness.go()

    lived = await runs(shop_of(part), None, body)

    (error,) = lived.errors
    assert error.endswith(f"within 60 s, and is not any more: {program} was not found")
    assert part.restarted == 3


async def test_a_restart_that_is_not_ready_in_time_counts(witness: Witness) -> None:
    """It has the time that the start had, and is ended when that is over."""
    first = f"mkdir '{witness.path}.once' && echo ready"
    text = f"echo up >&9; {first}; {witness.wait_for_go}; sleep 1000 & wait"
    part = sh(text, witness, ready=process.line("ready"), restart=Retry(1, delay=0))

    async def body(_: System) -> None:
        assert await witness.word() == "up"
        part._workers[0]._start_timeout = 0.1  # noqa: SLF001  the first start has all the time
        os.kill(part.pid, signal.SIGKILL)

    lived = await runs(shop_of(part), None, body)

    (error,) = lived.errors
    assert "it was not ready again after" in error
    assert "it waited for a line that matches 'ready' on its output" in error
    await witness.all_gone()


async def test_a_shutdown_ends_the_pause(witness: Witness) -> None:
    """Who waits to be started again has nothing in flight."""
    part = sh("echo up >&9; exit 3", witness, restart=Retry(1, delay=10_000, max_delay=10_000))

    async def body(system: System) -> None:
        assert await witness.word() == "up"
        async for status in system.changes():
            if status.components["part"].unavailable is not None:
                return

    lived = await live(shop_of(part), body)

    assert (lived.errors, part.restarted) == ([], 0)
    await witness.all_gone()


async def test_a_shutdown_while_it_is_started_again(witness: Witness) -> None:
    """It is ended like a start that was given up, and that is no error."""
    first = f"mkdir '{witness.path}.once' && echo ready"
    text = f"trap 'exit 0' TERM; {first}; {STAY}"
    part = sh(text, witness, ready=process.line("ready"), restart=Retry(1, delay=0))

    async def body(_: System) -> None:
        assert await witness.word() == "up"
        os.kill(part.pid, signal.SIGKILL)
        assert await witness.word() == "up"

    lived = await live(shop_of(part, start_timeout=1000), body)

    assert (lived.errors, part.restarted) == ([], 1)
    await witness.all_gone()


async def test_of_several_only_the_one_that_ended_is_started_again(witness: Witness) -> None:
    """The others serve on, and the service stays in rotation."""
    part = shs(3, "echo $$ >&9; sleep 1000 & wait", witness, restart=Retry(1, delay=0))

    async def body(system: System) -> None:
        first = sorted([int(await witness.word()) for _ in range(3)])
        assert sorted(part.pids) == first
        with pytest.raises(RuntimeError, match="has 3 processes, and not one"):
            _ = part.pid
        os.kill(first[0], signal.SIGKILL)
        new = int(await witness.word())
        while new not in part.pids:  # nobody is told: for the system nothing has changed
            await anyio.lowlevel.checkpoint()
        assert sorted(part.pids) == sorted([*first[1:], new])
        assert system.status().components["part"].unavailable is None

    assert (await live(shop_of(part), body)).errors == []
    assert part.restarted == 1
    await witness.all_gone()


async def test_of_several_each_may_have_arguments_of_its_own(witness: Witness) -> None:
    """Such as a port."""
    part = process.pool(
        3,
        lambda number: script(f"echo is {number}; echo {number} >&9; {STAY}", witness),
        ready=lambda number: process.line(f"is {number}"),
    )

    async def body(_: System) -> None:
        said = sorted([await witness.word() for _ in range(6)])
        assert said == ["0", "1", "2", "up", "up", "up"]

    assert (await live(shop_of(part), body)).errors == []


async def test_one_of_several_may_crash_the_rest(witness: Witness) -> None:
    """Without `restart`: the system is shut down, and the others are asked to end."""
    part = shs(2, f"trap 'echo bye >&9; exit 0' TERM; echo $$ >&9; {STAY}", witness)

    async def body(_: System) -> None:
        words = [await witness.word() for _ in range(4)]
        os.kill(next(int(word) for word in words if word != "up"), signal.SIGKILL)

    lived = await runs(shop_of(part), None, body)

    assert "it was killed by signal SIGKILL" in lived.errors[0]
    assert lived.exit_code == 70
    assert await witness.all_gone() == "bye\n"
    assert part.pids == ()


async def test_what_is_not_started_again_is_not_said_to_be(
    witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    """It has crashed, and that is all."""
    part = sh("echo up >&9; exit 3", witness)

    lived = await runs(shop_of(part))

    assert lived.exit_code == 70
    assert not [one for one in caplog.messages if "is started again" in one]
