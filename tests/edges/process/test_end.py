from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle import Registry, Settings
from lifecycle.integrations import process
from lifecycle.integrations.process import _process
from tests.e2e.kit import GENEROUS
from tests.edges.process.kit import DEAF, STAY, Lived, live, script, sh, shop_of, shs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lifecycle import System
    from tests.edges.witness import Witness

pytestmark = pytest.mark.anyio


def on(name: str, what: str) -> str:
    """Give the words of a shell for: on this signal do that, and otherwise stay."""
    return f"trap '{what}' {name}; {STAY}"


async def end(part: process.Process, witness: Witness, times: int = 1, **options: Any) -> Lived:
    """Start and end a system of one program, or several."""
    settings = options.pop("settings", None)

    async def body(system: System) -> None:
        for _ in range(times):
            assert await witness.word() == "up"

    return await live(shop_of(part, **options), body, settings)


async def test_its_own_signal_asks_it(witness: Witness) -> None:
    """What drains on QUIT gets QUIT, when the component drains, and nothing else after that."""
    text = on("QUIT", f"echo quit >&9; {witness.wait_for_go}; echo done >&9; exit 0")
    shop = shop_of(sh(text, witness, stop_signal=signal.SIGQUIT))

    async def body(system: System) -> None:
        assert await witness.word() == "up"
        system.shut_down("now")
        assert await witness.word() == "quit"
        assert system.status().phase == "draining"
        assert system.status().components["part"].state == "draining"
        witness.go()

    lived = await live(shop, body)

    assert lived.errors == []
    assert await witness.all_gone() == "done\n"


async def test_programs_drain_in_the_order_of_the_graph(witness: Witness) -> None:
    """The one in front first; the one behind is asked when that has ended, and not before."""
    shop = Registry("shop")
    for name, requires in (("php", []), ("nginx", ["php"])):
        text = on("TERM", f"echo {name} ends >&9; sleep 0.2; echo {name} ended >&9; exit 0")
        shop.add(sh(text, witness), name=name, requires=requires)

    async def body(_: System) -> None:
        assert [await witness.word(), await witness.word()] == ["up", "up"]

    assert (await live(shop, body)).errors == []
    words = (await witness.all_gone()).split("\n")[:-1]
    assert words == ["nginx ends", "nginx ended", "php ends", "php ended"]


async def test_with_drains_false_it_is_asked_to_stop_last(witness: Witness) -> None:
    """What others use to the end is there until they have stopped."""
    shop = Registry("shop")
    part = shop.add(sh(on("TERM", "exit 0"), witness, drains=False), name="part")

    @shop.component(requires=[part])
    async def user() -> AsyncIterator[None]:
        assert await witness.word() == "up"
        yield
        (pid,) = pids
        os.kill(pid, 0)
        log.append("it is there")

    pids: list[int] = []
    log: list[str] = []

    async def body(system: System) -> None:
        pids.append(system[part].pid)

    assert (await live(shop, body)).errors == []
    assert log == ["it is there"]
    await witness.all_gone()


@pytest.mark.parametrize(
    ("last", "options"),
    [
        ("exit 0", {}),
        ("exit 143", {}),  # as shells, and Java, say SIGTERM
        ("trap - TERM; kill -TERM $$", {}),
        ("exit 3", {"success": (0, 3)}),
        ("exit 131", {"stop_signal": signal.SIGQUIT}),
    ],
)
async def test_it_ends_well(witness: Witness, last: str, options: dict[str, Any]) -> None:
    """With code 0, one that was named, or by the signal that it was sent."""
    lived = await end(sh(on("TERM QUIT", last), witness, **options), witness)

    assert (lived.errors, lived.exit_code) == ([], 0)


async def test_it_does_not_end_well(witness: Witness) -> None:
    """Another code, or another signal, is an error of its drain, and may be lost work: 75."""
    lived = await end(sh(on("TERM", "echo disk full >&2; exit 3"), witness), witness)

    (error,) = lived.errors
    assert error == (
        "StopError: the drain hook of 'part' failed: ProcessError: it exited with code 3 when "
        "it was asked to stop, by SIGTERM. The last lines of its stderr:\n  | disk full"
    )
    assert lived.exit_code == 75


ONE_LOOP = pytest.mark.parametrize("anyio_backend", [("trio", {})], ids=["trio"])
"""For what takes seconds, and was seen on the others too."""


@ONE_LOOP
@pytest.mark.parametrize("drains", [True, False])
async def test_one_that_does_not_listen_is_killed(witness: Witness, drains: bool) -> None:  # noqa: FBT001
    """With all that it has started; the report says what it was asked by, and what was lost."""
    part = sh(f"(trap '' TERM; sleep 1000) & {DEAF}", witness, drains=drains)
    lived = await end(part, witness, drain_timeout=0.2, stop_timeout=6)

    hung = "DrainTimeoutError: 'part' had not drained when its 0.2 s to drain ran out; "
    killed = "StopError: the stop hook of 'part' failed: ProcessError: it went on after SIGTERM, "
    killed += "and was killed"
    assert lived.errors == [*([f"{hung}its drain was cancelled"] if drains else []), killed]
    assert lived.exit_code == 75
    await witness.all_gone()


async def test_after_its_own_signal_comes_sigterm(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For all of the group, when the time to drain is over: a last chance before SIGKILL."""
    for name in ("_STOP", "_RESERVE"):  # no machine is too busy for that chance
        monkeypatch.setattr(_process, name, GENEROUS)
    child = f"(trap 'echo child >&9; exit' TERM; trap '' QUIT; {STAY}) &"
    text = f"{child} trap '' QUIT; trap 'wait; exit 0' TERM; {STAY}"
    part = sh(text, witness, stop_signal=signal.SIGQUIT)

    settings = Settings(grace_period=4 * GENEROUS)
    lived = await end(
        part, witness, times=2, drain_timeout=0.2, stop_timeout=2 * GENEROUS, settings=settings
    )

    assert [error.partition(":")[0] for error in lived.errors] == ["DrainTimeoutError"]
    assert await witness.all_gone() == "child\n"


@pytest.mark.parametrize("signal_all", [False, True])
async def test_its_children_are_for_the_program_to_tell(
    witness: Witness,
    signal_all: bool,  # noqa: FBT001
) -> None:
    """The stop signal is for itself alone, unless it is said otherwise."""
    child = "(trap 'echo child >&9; exit' TERM; echo up >&9; sleep 1000 & wait) &"
    last = "wait; exit 0" if signal_all else "exit 0"
    text = f"{child} trap '{last}' TERM; echo up >&9; wait; wait"

    lived = await end(sh(text, witness, signal_all=signal_all), witness, times=2)

    assert lived.errors == []
    assert await witness.all_gone() == ("child\n" if signal_all else "")


async def test_what_it_leaves_behind_is_killed(witness: Witness) -> None:
    """When it has ended, nothing of its group survives."""
    child = "(trap '' TERM; exec sleep 1000) &"
    lived = await end(sh(f"{child} {on('TERM', 'exit 0')}", witness), witness)

    assert lived.errors == []
    await witness.all_gone()


@ONE_LOOP
async def test_a_stop_that_hangs_leaves_time_for_the_others(witness: Witness) -> None:
    """Two that do not listen, one behind the other, within the grace period; nothing is left."""
    shop = Registry("shop")
    first = shop.add(sh(DEAF, witness), name="first")
    shop.add(sh(DEAF, witness), name="second", requires=[first])

    async def body(_: System) -> None:
        assert [await witness.word(), await witness.word()] == ["up", "up"]

    lived = await live(shop, body, Settings(grace_period=4))

    assert lived.exit_code == 75
    await witness.all_gone()


async def test_several_are_asked_at_once(witness: Witness) -> None:
    """And what each of them did wrong is told."""
    lived = await end(shs(3, on("TERM", "exit 4"), witness), witness, times=3)

    (error,) = lived.errors
    assert "it exited with code 4 when it was asked to stop, by SIGTERM" in error
    assert lived.report is not None
    cause: Any = lived.report.errors[0].__cause__
    assert [note.partition(":")[0] for note in cause.__notes__] == ["part.1", "part.2"]


async def test_a_signal_can_be_sent_to_it(witness: Witness) -> None:
    """Such as one that has it read its files again."""

    async def body(_: System) -> None:
        assert await witness.word() == "up"
        part.send_signal(signal.SIGHUP)
        assert await witness.word() == "reads"

    part = sh(f"trap 'echo reads >&9' HUP; {STAY}", witness)

    assert (await live(shop_of(part), body)).errors == []


async def test_it_is_no_component_only(witness: Witness) -> None:
    """Outside of a system it is a context manager."""
    async with sh(STAY, witness) as part:
        assert await witness.word() == "up"
        assert part.pid > 0

    await witness.all_gone()
    with pytest.raises(process.ProcessError, match="it exited with code 5 before it was ready"):
        async with process.process(script("exit 5"), ready=process.line("never")):
            pass
