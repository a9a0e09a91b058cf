from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Registry
from lifecycle.errors import DefinitionError
from lifecycle.integrations import process
from lifecycle.integrations.process._program import Program
from tests.edges.process.kit import STAY, live, script, sh, shop_of

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle import System
    from tests.edges.witness import Witness

pytestmark = pytest.mark.anyio


async def problem(argv: list[Any], **options: Any) -> str:
    """Start a program in vain, and give what is said of it."""
    lived = await live(shop_of(process.process(argv, **options)))
    (error,) = lived.errors
    head = "StartError: 'part' did not start: ProcessError: "
    assert error.startswith(head)
    assert lived.exit_code == 69
    return error.removeprefix(head)


async def test_it_is_not_there() -> None:
    """By its path, and by its name."""
    assert await problem(["/no/such", "x"]) == "/no/such was not found"
    assert await problem(["no-such-program"]) == "no-such-program was not found"


async def test_it_is_not_executable(tmp_path: Path) -> None:
    """No permission, no format, no interpreter: each is said."""
    path = tmp_path / "program"
    path.write_text("#!/no/such/interpreter\n")

    said = f"{path} cannot be executed: "
    assert await problem([path]) == f"{said}Permission denied"
    path.chmod(0o755)
    assert await problem([path]) == f"{said}the interpreter in its first line is not there"
    path.write_text("nothing that could be run")
    assert await problem([path]) == f"{said}Exec format error"


async def test_its_directory_is_not_there(tmp_path: Path) -> None:
    """Not taken for the program."""
    assert await problem(["true"], cwd="/no/such") == "there is no directory /no/such to run it in"
    (tmp_path / "file").touch()
    said = f"it cannot be run in {tmp_path}/file: Not a directory"
    assert await problem(["true"], cwd=tmp_path / "file") == said


async def test_there_is_no_such_user() -> None:
    """By the name that was given."""
    said = "there is no user 'nobody-at-all' to run it as"
    assert await problem(["true"], user="nobody-at-all") == said


def test_another_user_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not root is told that."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (program,) = process.process(["true"], user="nobody")._programs  # noqa: SLF001  what it says
    assert isinstance(program, Program)
    error = program._not_started("user", PermissionError(1, "no"))  # noqa: SLF001  likewise

    assert str(error) == "it cannot be run as user 'nobody': only root may change the user"


ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the user")


@ROOT
async def test_it_runs_as_another_user(witness: Witness, tmp_path: Path) -> None:
    """With that user's groups; what is in its place, it can be told by its environment."""
    os.chmod(witness.path, 0o666)  # noqa: PTH101, S103  for whoever it will be
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)  # and no less of one that is not ours
    text = f"(id -un; id -gn; id -Gn; echo $HELLO; pwd) >&9; {STAY}"
    part = sh(text, witness, user="nobody", env={"HELLO": "hello"}, cwd="/")

    async def body(_: System) -> None:
        said = [await witness.word() for _ in range(5)]
        assert said == ["nobody", "nogroup", "nogroup", "hello", "/"]

    assert (await live(shop_of(part), body)).errors == []
    await witness.all_gone()


async def test_it_does_not_speak_to_our_systemd(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What this process was told by systemd is not for the program; unless that is said."""
    for name in ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"):
        monkeypatch.setenv(name, "ours")
    said = "echo ${NOTIFY_SOCKET-none} ${WATCHDOG_PID-none} ${WATCHDOG_USEC-none} >&9"
    part = sh(f"{said}; {STAY}", witness, env={"WATCHDOG_USEC": "its"})

    async def body(_: System) -> None:
        assert await witness.word() == "none none its"

    assert (await live(shop_of(part), body)).errors == []


async def test_it_ends_before_it_is_ready(witness: Witness) -> None:
    """By a code or a signal; with code 0 it may have put itself into the background."""
    never = process.line("never")
    waited = "before it was ready, which waited for a line that matches 'never' on its output"

    assert await problem(script("echo no; exit 3"), ready=never) == (
        f"it exited with code 3 {waited}. The last lines of its stdout:\n  | no"
    )
    assert (
        await problem(script("kill -SEGV $$"), ready=never)
        == f"it was killed by signal SIGSEGV {waited}"
    )
    assert await problem(script("exit 0"), ready=never) == (
        f"it exited with code 0 {waited}; a program that puts itself into the background has to be "
        "told to stay in the foreground"
    )


async def test_of_several_the_others_are_ended(witness: Witness) -> None:
    """Where one cannot start the rest is asked to stop, and nothing is left."""
    texts = [f"trap 'echo bye >&9; exit 0' TERM; {STAY}", f"{witness.wait_for_go}; exit 3"]
    part = process.pool(
        2, lambda number: script(texts[number], witness), ready=process.line("never")
    )
    shop = shop_of(part)

    @shop.service
    async def lets_go() -> None:
        assert await witness.word() == "up"
        witness.go()
        await anyio.sleep_forever()

    lived = await live(shop)

    assert "it exited with code 3 before it was ready" in lived.errors[0]
    assert await witness.all_gone() == "bye\n"


async def test_it_is_tried_again(witness: Witness, tmp_path: Path) -> None:
    """A component's own `retry` is for its start, as ever."""
    text = f"mkdir '{tmp_path}/once' && exit 1; echo ready; {STAY}"
    part = sh(text, witness, ready=process.line("ready"))

    assert (await live(shop_of(part, retry=1))).errors == []
    assert await witness.all_gone() in ("up\n", "")


@pytest.mark.parametrize("argv", ["echo x", b"echo x"], ids=["text", "bytes"])
def test_a_string_is_no_list(argv: Any) -> None:
    """There is no shell, and the error says how to have one."""
    with pytest.raises(DefinitionError, match=r"there is no shell: \[\"sh\", \"-c\", \"…\"\] is"):
        process.process(argv)


@pytest.mark.parametrize(
    "options",
    [
        {"argv": []},
        {"argv": [""]},
        {"argv": ["true", 1]},
        {"argv": None},
        {"argv": ["a\0b"]},
        {"env": {"A": 1}},
        {"env": {"A=B": "1"}},
        {"env": {"": "1"}},
        {"env": {"A": "1\0"}},
        {"cwd": 5},
        {"user": 1.5},
        {"user": True},
        {"signal_all": "no"},
        {"drains": "no"},
        {"stop_signal": 0},
        {"stop_signal": "QUIT"},
        {"stop_signal": [15]},
        {"stop_signal": True},
        {"stop_signal": 15.0},
        {"restart": -1},
        {"restart_period": 0},
        {"ready": 8080},
    ],
    ids=str,
)
def test_what_cannot_be_used_is_refused(options: dict[str, Any]) -> None:
    """When it is declared, and not on the night of the deployment."""
    arguments: dict[str, Any] = {"argv": ["true"], **options}
    with pytest.raises(DefinitionError):
        process.process(**arguments)


def test_what_no_variable_can_hold_is_not_repeated() -> None:
    """It may be a secret."""
    with pytest.raises(DefinitionError, match="'TOKEN', which cannot be a variable") as caught:
        process.process(["true"], env={"TOKEN": "open sesame\0"})

    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("number", [0, -1, True, 1.5, "4"])
def test_what_is_no_number_of_processes_is_refused(number: Any) -> None:
    """Likewise."""
    with pytest.raises(DefinitionError, match=r"process\.pool takes a number of processes"):
        process.pool(number, ["true"])


def test_a_misspelt_option_is_refused() -> None:
    """As in any function."""
    options: dict[str, Any] = {"stop_singal": signal.SIGQUIT}
    with pytest.raises(TypeError, match="process has no option 'stop_singal'"):
        process.process(["true"], **options)


async def test_it_runs_once_at_a_time(witness: Witness) -> None:
    """An object has one life; it may have another when that is over."""
    part = sh(STAY, witness)

    async def body(_: System) -> None:
        with pytest.raises(RuntimeError, match="runs already"):
            await part.__aenter__()
        assert await witness.word() == "up"

    for _ in range(2):
        assert (await live(shop_of(part), body)).errors == []


def test_the_pid_of_none_is_no_pid() -> None:
    """Nor is that of many."""
    with pytest.raises(RuntimeError, match="has 0 processes, and not one"):
        _ = process.process(["true"]).pid


def test_it_is_named_by_its_program() -> None:
    """In errors about the object itself."""
    assert repr(process.process(["/usr/sbin/nginx"])) == "<Process: nginx>"
    assert repr(process.pool(3, [sys.executable])).startswith("<Process: 3 of python")


def test_a_registry_takes_it() -> None:
    """By `add`, and by `build`."""
    shop = Registry("shop")
    nginx = shop.add(process.process(["nginx"]), name="nginx")

    @shop.build(requires=[nginx])
    def other() -> process.Process:
        return process.process(["true"])

    assert [part.name for part in shop.plan().components] == ["nginx", "other"]
