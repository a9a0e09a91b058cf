from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle.ending import alive, kill_all
from lifecycle.processes import ProcessGroup
from lifecycle.processes import group as implementation
from lifecycle.processes.identity import identity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.edges.witness import Witness


@pytest.fixture(params=["pidfd", "thread"], autouse=True)
def way_to_wait(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything holds where the system has no pidfd, too."""
    if request.param == "thread":

        def forbidden(pid: int) -> int:
            raise PermissionError

        monkeypatch.setattr(os, "pidfd_open", forbidden)


def start(script: str, witness: Witness, **options: Any) -> ProcessGroup:
    """Start a shell whose descriptor 9 is the witness, as is that of all that it starts."""
    argv = ["sh", "-c", f"exec 9>'{witness.path}'\n{script}"]
    return ProcessGroup(argv, **options)


@asynccontextmanager
async def ended_at_last(group: ProcessGroup) -> AsyncIterator[ProcessGroup]:
    """Leave nothing behind, however a test ends."""
    try:
        yield group
    finally:
        await group.terminate(0)


STAY = "echo up >&9; while :; do sleep 1000; done"
DEAF = f"trap '' TERM QUIT; {STAY}"


@pytest.mark.anyio
async def test_it_ends_with_its_code(witness: Witness) -> None:
    """The exit code is the program's."""
    group = start("exit 7", witness)

    assert await group.wait() == 7
    assert group.returncode == 7
    assert group.ended
    assert await group.wait() == 7


@pytest.mark.anyio
async def test_a_signal_is_a_negative_code(witness: Witness) -> None:
    """As in `subprocess`."""
    assert await start("kill -KILL $$", witness).wait() == -signal.SIGKILL


@pytest.mark.anyio
async def test_it_has_a_session_of_its_own_and_no_stdin(witness: Witness) -> None:
    """Ctrl-C does not reach it, and it cannot take our input."""
    script = "import os; print(os.getsid(0) == os.getpid() == os.getpgid(0), os.read(0, 9))"
    told: list[tuple[str, str]] = []
    ours, (theirs, writer) = os.dup(0), os.pipe()
    os.write(writer, b"password\n")
    os.dup2(theirs, 0)
    try:
        argv = [sys.executable, "-c", script]
        await ProcessGroup(argv, tell=lambda *line: told.append(line)).run()
    finally:
        os.dup2(ours, 0)
        for fd in (ours, theirs, writer):
            os.close(fd)

    assert told == [("stdout", "True b''")]


@pytest.mark.anyio
async def test_what_it_leaves_behind_is_killed(witness: Witness) -> None:
    """When the leader has ended, nothing of its group survives."""
    left = "(trap '' TERM HUP; echo up >&9; exec sleep 1000) &"
    async with ended_at_last(start(f"{left} {witness.wait_for_go}; exit 3", witness)) as group:
        assert await witness.word() == "up"
        witness.go()

        assert await group.wait() == 3
        await witness.all_gone()


@pytest.mark.anyio
async def test_nobody_is_signalled_whose_id_may_be_another_s(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as we signal a group its dead leader still keeps the id, and never after."""
    signalled: list[int] = []
    real = os.killpg

    def watched(pid: int, number: int) -> None:
        # ChildProcessError, had it been reaped.
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        signalled.append(number)
        real(pid, number)

    monkeypatch.setattr(os, "killpg", watched)
    group = start("exit 0", witness)
    await group.wait()
    assert signalled == [signal.SIGKILL]

    group.send_signal(signal.SIGTERM)
    group.kill()
    kill_all()
    await group.terminate()
    assert signalled == [signal.SIGKILL]


@pytest.mark.anyio
async def test_terminate_asks(witness: Witness) -> None:
    """The whole group gets SIGTERM, and may end by itself."""
    script = "trap 'echo bye >&9; exit 5' TERM; echo up >&9; sleep 1000 & wait"
    async with ended_at_last(start(script, witness)) as group:
        assert await witness.word() == "up"
        await group.terminate(grace=60)

        assert group.returncode == 5
        assert await witness.all_gone() == "bye\n"


@pytest.mark.anyio
async def test_terminate_asks_with_another_signal(witness: Witness) -> None:
    """What drains on QUIT is sent QUIT."""
    async with ended_at_last(start(STAY, witness)) as group:
        assert await witness.word() == "up"
        await group.terminate(60, signal.SIGQUIT)

        assert group.returncode == -signal.SIGQUIT


@pytest.mark.anyio
async def test_terminate_kills_who_does_not_listen(witness: Witness) -> None:
    """After the grace, the whole group is killed."""
    async with ended_at_last(start(DEAF, witness)) as group:
        assert await witness.word() == "up"
        await group.terminate(grace=0.01)

        assert group.returncode == -signal.SIGKILL
        await witness.all_gone()


@pytest.mark.anyio
async def test_terminate_is_not_cut_short(witness: Witness) -> None:
    """A cancellation does not leave the group behind."""
    async with ended_at_last(start(DEAF, witness)) as group:
        assert await witness.word() == "up"
        with anyio.CancelScope() as scope:
            scope.cancel()
            await group.terminate(grace=0.01)

        assert group.returncode == -signal.SIGKILL


@pytest.mark.anyio
async def test_a_group_that_cannot_be_killed_holds_nobody_up(
    witness: Witness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What hangs in the kernel is told, and left to `kill_all`."""
    monkeypatch.setattr(implementation, "_KILL_GRACE", 0.01)
    async with ended_at_last(start(STAY, witness)) as group:
        assert await witness.word() == "up"
        with monkeypatch.context() as patch:
            patch.setattr(os, "killpg", lambda *_: None)
            await group.terminate(0.01)

        assert not group.ended
        assert [record.getMessage() for record in caplog.records] == [
            f"process {group.pid} was killed, and still is there 0.01 s later"
        ]
        kill_all()
        assert await group.wait() == -signal.SIGKILL


@pytest.mark.anyio
async def test_many_may_wait(witness: Witness) -> None:
    """Each is told; one that gives up leaves the others waiting."""
    codes: list[int | None] = []

    async def wait(scope: anyio.CancelScope) -> None:
        with scope:
            codes.append(await group.wait())

    async with ended_at_last(start(STAY, witness)) as group:
        assert await witness.word() == "up"
        async with anyio.create_task_group() as tasks:
            first = anyio.CancelScope()
            for scope in (first, anyio.CancelScope(), anyio.CancelScope()):
                tasks.start_soon(wait, scope)
            await anyio.wait_all_tasks_blocked()
            first.cancel()
            await anyio.wait_all_tasks_blocked()
            assert codes == []
            group.kill()

    assert codes == [-signal.SIGKILL] * 2


@pytest.mark.parametrize("where", ["thread", "signal handler"])
@pytest.mark.anyio
async def test_kill_all_kills_all(witness: Witness, where: str) -> None:
    """Every group of the process is killed, from the watchdog's thread or a signal handler."""
    async with (
        ended_at_last(start(DEAF, witness)) as one,
        ended_at_last(start(DEAF, witness)) as two,
    ):
        assert [await witness.word(), await witness.word()] == ["up", "up"]
        if where == "thread":
            thread = threading.Thread(target=kill_all)
            thread.start()
            thread.join()
        else:
            before = signal.signal(signal.SIGUSR1, lambda *_: kill_all())
            signal.raise_signal(signal.SIGUSR1)
            signal.signal(signal.SIGUSR1, before)

        await witness.all_gone()
        assert [await one.wait(), await two.wait()] == [-signal.SIGKILL] * 2


def program(script: str) -> str:
    """Run a program of its own, and give what it prints."""
    # What is still alive of it holds its stdout open: this returns when all of it is gone.
    result = subprocess.run(
        [sys.executable, "-W", "ignore::ResourceWarning", "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return result.stdout


def test_kill_all_of_a_fork_kills_nobody() -> None:
    """The groups are those of the process that has started them."""
    told = program("""
import anyio, os
from lifecycle.ending import kill_all
from lifecycle.processes import ProcessGroup
group = ProcessGroup(["sleep", "1000"])
if (pid := os.fork()) == 0:
    kill_all()
    os._exit(0)
os.waitpid(pid, 0)
anyio.run(group.terminate, 60)
print(group.returncode)
""")

    assert told == "-15\n"


@pytest.mark.anyio
async def test_run_tells_lines_as_they_come(witness: Witness) -> None:
    """A line is told while the program runs, not at its end."""
    first = anyio.Event()
    told: list[tuple[str, str]] = []

    def tell(stream: str, line: str) -> None:
        told.append((stream, line))
        first.set()

    script = f"echo one; {witness.wait_for_go}; printf two >&2"
    async with (
        ended_at_last(start(script, witness, tell=tell)) as group,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(group.run)
        await first.wait()
        assert told == [("stdout", "one")]
        witness.go()

    assert told == [("stdout", "one"), ("stderr", "two")]


@pytest.mark.anyio
async def test_run_tells_all_there_is(witness: Witness) -> None:
    """More than a pipe holds, on both streams, the last line without a line end."""
    told: dict[str, list[str]] = {"stdout": [], "stderr": []}
    script = "seq 100000; seq 100000 >&2; printf end; printf error >&2; exit 4"

    group = start(script, witness, tell=lambda stream, line: told[stream].append(line))

    assert await group.run() == 4
    numbers = [str(number) for number in range(1, 100001)]
    assert told == {"stdout": [*numbers, "end"], "stderr": [*numbers, "error"]}


@pytest.mark.anyio
async def test_run_does_not_wait_for_strangers(witness: Witness) -> None:
    """What has left the group may keep the pipe open, and write to it without end."""
    lines: list[str] = []
    script = "echo mine; setsid sh -c 'echo $$ >&9; exec yes' & wait"
    stranger = 0
    group = start(script, witness, tell=lambda _, line: lines.append(line))
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(group.run)
            stranger = int(await witness.word())
            group.kill()
        assert group.returncode == -signal.SIGKILL
        assert "mine" in lines
    finally:
        if stranger:
            os.kill(stranger, signal.SIGKILL)
        await group.terminate(0)
    await witness.all_gone()


@pytest.mark.anyio
async def test_run_that_is_cancelled_ends_the_group(witness: Witness) -> None:
    """It asks first, tells what is said then, and lets the cancellation go on."""
    told: list[str] = []
    script = "trap 'seq 50000; echo bye; exit 0' TERM; sleep 1000 & echo up >&9; wait"
    group = start(script, witness, tell=lambda _, line: told.append(line))

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(group.run, 60)
            assert await witness.word() == "up"
            scope.cancel()

    assert scope.cancelled_caught
    assert group.returncode == 0
    assert told[-1] == "bye"
    assert len(told) == 50001
    await witness.all_gone()


@pytest.mark.anyio
async def test_a_lost_exit_code_is_told(witness: Witness) -> None:
    """Where somebody else reaps our children we do not take that for a success."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        group = start("exit 0", witness)
        assert await group.wait() is None
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert group.ended


@pytest.mark.anyio
async def test_its_environment_and_directory_are_as_given(
    witness: Witness, tmp_path: object
) -> None:
    """Nothing is added to what is given."""
    told: list[str] = []
    argv = [
        sys.executable,
        "-c",
        "import os; print(os.environ['ONE'], os.getcwd(), len(os.environ) < 4)",
    ]
    group = ProcessGroup(argv, env={"ONE": "1"}, cwd="/", tell=lambda _, line: told.append(line))
    await group.run()

    assert told == ["1 / True"]


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the user")


def as_user(user: str) -> list[str]:
    """Start a program as another user; gives what it says of whom it is, and its exit code.

    By a process of its own: who is to be another user is forked, and where a process has served
    gRPC, as this one may have, gRPC runs in the fork, too, complains on stderr, and may end it.
    """
    code = """
import anyio, os, sys
from lifecycle.processes.group import ProcessGroup

async def main():
    user = int(sys.argv[1]) if sys.argv[1].isdigit() else sys.argv[1]
    return await ProcessGroup(["sh", "-c", "id -u; id -g; id -G"], user=user).run()

os.setgroups([4242])  # which must not be passed on
os.getgrouplist = lambda _, gid: [gid, 4343]
print(anyio.run(main))
"""
    done = subprocess.run([sys.executable, "-c", code, user], stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().splitlines()


@root_only
def test_it_runs_as_another_user() -> None:
    """With that user's groups, and none of ours."""
    uid, gid = pwd.getpwnam("nobody")[2:4]

    assert as_user("nobody") == [f"{uid}", f"{gid}", f"{gid} 4343", "0"]


@root_only
def test_it_runs_as_a_number_without_a_name() -> None:
    """As images do; there are no groups to go with it but our first."""
    gid = f"{os.getegid()}"

    assert as_user("54321") == ["54321", gid, gid, "0"]


@pytest.mark.anyio
async def test_it_runs_as_ourselves() -> None:
    """To name the user that we are needs no rights: the system is asked for nothing."""
    ourselves = pwd.getpwuid(os.geteuid())
    for user in (ourselves.pw_uid, ourselves.pw_name):
        assert identity(user) == {}
        assert await ProcessGroup(["true"], user=user).wait() == 0


@pytest.mark.anyio
async def test_there_is_no_such_user(witness: Witness) -> None:
    """An unknown name is an error before anything is started."""
    with pytest.raises(LookupError):
        ProcessGroup(["true"], user="nobody-at-all")


@pytest.mark.anyio
async def test_what_cannot_be_started_is_not_remembered(witness: Witness) -> None:
    """There is nothing to kill then."""
    with pytest.raises(FileNotFoundError):
        ProcessGroup(["/nonexistent"])

    assert not alive


def test_it_dies_with_a_program_that_ends_without_waiting() -> None:
    """A program that just ends takes its groups along."""
    told = program("""
from lifecycle.processes import ProcessGroup
ProcessGroup(["sleep", "1000"])
print("end")
""")

    assert told == "end\n"
