"""That nothing outlives the process that has started it, whatever becomes of that."""

from __future__ import annotations

import os
import pwd
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle.processes import GuardedGroup, LaunchError
from lifecycle.processes import guarded as implementation
from tests.e2e.kit import GENEROUS, Fifo, running_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.edges.witness import Witness

PROGRAM = """
import os, signal, sys, threading
import anyio
from lifecycle.processes import GuardedGroup

HOW, FIFO = sys.argv[1:]
STAY = f"exec 9>'{FIFO}'; trap '' TERM INT QUIT HUP; (sleep 1000) & echo up >&2; sleep 1000 & wait"

def start(**options):
    group = GuardedGroup(["sh", "-c", STAY], stdout=2, stderr=2, **options)
    anyio.run(group.launched)
    return group
"""
WAYS = {
    "main": "start()",
    "thread": """
thread = threading.Thread(target=start)  # which has ended by the time that we are killed
thread.start()
thread.join()
""",
    "event loop in a thread": """
async def loop():
    group = GuardedGroup(["sh", "-c", STAY], stdout=2, stderr=2)
    await group.launched()
thread = threading.Thread(target=anyio.run, args=[loop])
thread.start()
thread.join()
""",
    "other user": "start(user='nobody')",
    "kill 0": """
STAY = STAY.replace("echo up", "kill -TERM 0; kill -HUP 0; kill -INT 0; kill -USR1 0; echo up")
STAY = STAY.replace("HUP;", "HUP USR1;")
start()
""",
    "fork": """
start()
if os.fork() == 0:  # such as of multiprocessing; it outlives us, and that is its affair
    sys.stdout.write("forked\\n")  # in one piece
    signal.pause()
""",
}


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Fifo]:
    """Give a FIFO that the programs of a test hold open."""
    fifo = Fifo(tmp_path)
    fifo.path.chmod(0o666)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)  # and no less of one that is not ours
    yield fifo
    fifo.close()


@pytest.mark.parametrize("way", WAYS)
def test_nothing_outlives_a_killed_process(tmp_path: Path, fifo: Fifo, way: str) -> None:
    """It is killed with SIGKILL: the program is gone, and what that has started."""
    if way == "other user" and os.geteuid() != 0:
        pytest.skip("only root may change the user")
    source = f"{PROGRAM}\n{WAYS[way]}\nsignal.pause()\n"
    with running_source(tmp_path, source, way, str(fifo.path)) as process:
        process.until("^up$")
        if way == "fork":
            process.until("^forked$")
        process.send(signal.SIGKILL)

        assert process.wait() == -signal.SIGKILL
        assert fifo.read_to_the_end() == ""


def test_nothing_outlives_a_process_that_was_killed_in_between(tmp_path: Path, fifo: Fifo) -> None:
    """Just as it has begun to start the program: that must not start then."""
    source = f"""{PROGRAM}
for number in range(20):
    if os.fork() == 0:
        large = {{"LARGE": "x" * 100_000}} if number % 2 else {{}}  # more than a pipe holds
        script = f"exec 9>'{{FIFO}}'; sleep 1000"
        GuardedGroup(["sh", "-c", script], env={{**os.environ, **large}})
        os.kill(os.getpid(), signal.SIGKILL)
    os.wait()
holder = os.open(FIFO, os.O_WRONLY)
sys.stdout.write("all gone\\n")
"""
    with running_source(tmp_path, source, "", str(fifo.path)) as process:
        process.until("all gone")
        assert process.wait() == 0
        assert fifo.read_to_the_end() == ""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_no_guard_is_left_dead(tmp_path: Path) -> None:
    """A process that inherits orphans, as the first of a container does, gets them, and reaps."""
    source = f"""{PROGRAM}
import ctypes
PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
async def main():
    for number in range(3):
        group = GuardedGroup(["sh", "-c", "exit 3"])
        await group.launched()
        assert await group.wait() == 3
anyio.run(main)
try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("no child is left")
"""
    with running_source(tmp_path, source, "", "") as process:
        assert process.wait() == 0
    assert process.lines == ["no child is left"]


@pytest.mark.anyio
async def test_it_is_the_program_itself(witness: Witness) -> None:
    """The process that was started becomes the program, and its code is the program's."""
    group = GuardedGroup(["sh", "-c", f"echo $$ >'{witness.path}'; exit 7"])
    await group.launched()

    assert int(await witness.word()) == group.pid
    assert await group.wait() == 7


@pytest.mark.anyio
async def test_it_has_what_it_was_given(witness: Witness) -> None:
    """Its environment, its directory, its descriptors, and the signals as they are by default."""
    text = """
import os, sys
fds = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1] if sys.platform == "linux" else []
with open(sys.argv[1], "w") as out:
    print(dict(os.environ) == {"ONE": "1", "LC_CTYPE": "C.UTF-8"} or os.environ, file=out)
    print(os.getcwd(), os.getpid() == os.getsid(0), os.read(0, 9), fds[3:], file=out)
"""
    argv = [sys.executable, "-I", "-S", "-c", text, str(witness.path)]
    group = GuardedGroup(argv, env={"ONE": "1", "LC_CTYPE": "C.UTF-8"}, cwd="/")
    await group.launched()

    assert await witness.word() == "True"
    assert await witness.word() == "/ True b'' []"
    assert await group.wait() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
@pytest.mark.anyio
async def test_it_ignores_no_signals(witness: Witness) -> None:
    """Python ignores SIGPIPE, and that would be inherited."""
    # Not those of the C library itself: what it starts by `posix_spawn` ignores one of them.
    ours = sum(1 << number - 1 for number in signal.valid_signals())
    text = f"grep SigIgn /proc/self/status >'{witness.path}'"
    group = GuardedGroup(["sh", "-c", text])
    await group.launched()

    ignored = int((await witness.word()).split()[1], 16)
    assert await group.wait() == 0
    assert ignored & ours == 0


@pytest.mark.anyio
async def test_who_waits_for_all_its_children_may_do_so(witness: Witness) -> None:
    """The guard is no child of the program."""
    text = """
import os, sys
try:
    os.wait()
except ChildProcessError:
    open(sys.argv[1], "w").write("no child\\n")
"""
    group = GuardedGroup([sys.executable, "-I", "-S", "-c", text, str(witness.path)])
    await group.launched()

    assert await witness.word() == "no child"
    assert await group.wait() == 0


FAILURES: list[tuple[str, type[OSError], dict[str, Any]]] = [
    ("exec", FileNotFoundError, {"argv": ["/no/such"]}),
    ("exec", FileNotFoundError, {"argv": ["no-such"]}),
    ("exec", PermissionError, {"argv": ["/etc/passwd"]}),
    ("cwd", FileNotFoundError, {"argv": ["true"], "cwd": "/no/such"}),
    ("cwd", NotADirectoryError, {"argv": ["true"], "cwd": "/etc/passwd"}),
]


@pytest.mark.parametrize(("step", "kind", "options"), FAILURES, ids=range(len(FAILURES)))
@pytest.mark.anyio
async def test_what_cannot_be_started_is_told(
    step: str, kind: type[OSError], options: dict[str, Any]
) -> None:
    """Which step failed, and how; nothing is left of it."""
    group = GuardedGroup(**options)
    with pytest.raises(LaunchError) as caught:
        await group.launched()

    assert caught.value.step == step
    assert type(OSError(caught.value.errno, "")) is kind
    assert await group.wait() == 127
    assert not implementation._lifelines  # noqa: SLF001


@pytest.mark.anyio
async def test_it_is_looked_for_as_ever(tmp_path: Path) -> None:
    """In the PATH that it is given, past what cannot be executed; that is told if nothing can."""
    for name, mode in (("first", 0o644), ("second", 0o755)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "program").write_text("#!/bin/sh\nexit 7\n")
        (tmp_path / name / "program").chmod(mode)

    async def run(path: str) -> int | None:
        group = GuardedGroup(["program"], env={"PATH": path})
        try:
            await group.launched()
        finally:
            code = await group.wait()
        return code

    assert await run(f"/no/such:{tmp_path}/first:{tmp_path}/second") == 7
    with pytest.raises(LaunchError, match="Permission denied"):
        await run(f"{tmp_path}/first:/no/such")
    with pytest.raises(LaunchError, match="No such file or directory"):
        await run("/no/such")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the user")
@pytest.mark.anyio
async def test_it_may_be_another_user_than_may_read_us(witness: Witness) -> None:
    """The interpreter, and the directories that it lies in, are none of the user's business."""
    nobody = pwd.getpwnam("nobody")
    text = f"(id -u; id -g; id -G) >'{witness.path}'"
    witness.path.chmod(0o666)
    for folder in witness.path.parents[:4]:
        folder.chmod(folder.stat().st_mode | 0o055)  # and no less of one that is not ours
    group = GuardedGroup(["sh", "-c", text], user="nobody", cwd="/")
    await group.launched()

    assert [int(await witness.word()) for _ in range(3)] == [nobody.pw_uid, *[nobody.pw_gid] * 2]
    assert await group.wait() == 0


@pytest.mark.anyio
async def test_who_is_asked_to_end_before_it_has_started_does(witness: Witness) -> None:
    """Whatever the signal finds: it is the end."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        group = GuardedGroup(["sleep", "1000"])
        group.send_signal(number)
        with anyio.fail_after(60):
            assert await group.wait() == -number
        with pytest.raises(LaunchError):
            await group.launched()


@pytest.mark.anyio
async def test_an_interrupt_at_any_moment_of_its_start_is_the_end(witness: Witness) -> None:
    """Also where the interpreter that is to become the program has only just begun."""
    for milliseconds in range(25):
        group = GuardedGroup(["sleep", "1000"])
        await anyio.sleep(milliseconds / 1000)  # the moment itself: nothing is waited for
        group.send_signal(signal.SIGINT)
        with anyio.fail_after(60):
            assert await group.wait() == -signal.SIGINT


@pytest.mark.anyio
async def test_a_large_environment_passes(witness: Witness) -> None:
    """More than a pipe holds."""
    value = "x" * 100_000
    group = GuardedGroup(
        ["sh", "-c", f"echo ${{#ONE}} ${{#TWO}} >'{witness.path}'"],
        env={"ONE": value, "TWO": value, "PATH": os.environ["PATH"]},
    )
    await group.launched()

    assert await witness.word() == "100000 100000"
    assert await group.wait() == 0


class Gate:
    """In the place of the interpreter that a program is started by: one that waits for us first."""

    def __init__(self, folder: Path) -> None:
        self._fifo = folder / "gate"
        os.mkfifo(self._fifo)
        self._open = threading.Lock()
        self.program = folder / "interpreter"
        wait = f"read line <'{self._fifo}'"
        self.program.write_text(f"#!/bin/sh\n{wait}\nexec '{sys.executable}' \"$@\"\n")
        self.program.chmod(0o755)
        # So that who waits where he must not fails, and does not wait for ever.
        self._timer = threading.Timer(GENEROUS, self.open)
        self._timer.start()

    def open(self) -> bool:
        """Let the interpreter start; says whether it was to wait until now."""
        self._timer.cancel()
        if not self._open.acquire(blocking=False):
            return False
        with self._fifo.open("w") as fifo:
            fifo.write("\n")
        return True

    def leave(self) -> None:
        """Nobody waits any more."""
        self._timer.cancel()
        self._timer.join()


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Have no program start before it may."""
    gate = Gate(tmp_path)
    monkeypatch.setattr(implementation, "_interpreter", lambda: str(gate.program))
    yield gate
    gate.leave()


def much_for(script: str) -> GuardedGroup:
    """Begin to start a script whose environment is more than a pipe holds."""
    value = "x" * 100_000
    return GuardedGroup(["sh", "-c", script], env={**os.environ, "ONE": value, "TWO": value})


@pytest.mark.anyio
async def test_what_does_not_fit_into_the_pipe_blocks_nobody(witness: Witness, gate: Gate) -> None:
    """The loop goes on while the launcher, which is to read it, is only just starting."""
    group = much_for(f"echo ${{#ONE}} ${{#TWO}} >'{witness.path}'; exit 7")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(group.launched)
        await anyio.wait_all_tasks_blocked()
        assert gate.open()

    assert await witness.word() == "100000 100000"
    assert await group.wait() == 7


@pytest.mark.anyio
async def test_who_is_cancelled_before_all_was_written_can_end_it(gate: Gate) -> None:
    """Nothing of it is left, and nothing of the pipe."""
    group = much_for("exit 7")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(group.launched)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    await group.terminate(GENEROUS)

    assert group.ended
    assert group.returncode == -signal.SIGTERM
    assert not implementation._lifelines  # noqa: SLF001
    with pytest.raises(LaunchError):
        await group.launched()


@pytest.mark.parametrize("is_waited_for", [True, False], ids=["waited for", "not yet"])
@pytest.mark.anyio
async def test_what_ends_before_all_was_written_was_not_launched(
    gate: Gate, *, is_waited_for: bool
) -> None:
    """Whoever waits for it is told, whether he began to before or after."""
    group = much_for("exit 7")

    async def wait() -> None:
        with pytest.raises(LaunchError) as caught:
            await group.launched()
        assert caught.value.step == "guard"

    with anyio.fail_after(GENEROUS):
        async with anyio.create_task_group() as tasks:
            if is_waited_for:
                tasks.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
            group.kill()
            assert await group.wait() == -signal.SIGKILL
        await wait()

    assert not implementation._lifelines  # noqa: SLF001


@pytest.mark.anyio
async def test_without_an_interpreter_there_is_no_guard(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A frozen program has none to start: the program runs all the same, and that is logged."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    group = GuardedGroup(["sh", "-c", "exit 7"])
    await group.launched()

    assert await group.wait() == 7
    assert [one.getMessage() for one in caplog.records] == [
        "sh is not guarded: should this process be killed, it stays"
    ]


def test_threads_may_fork_and_start_at_the_same_time() -> None:
    """Nobody waits for a lock that the other half of a fork has."""

    async def start() -> None:
        for _ in range(5):
            group = GuardedGroup(["true"])
            await group.launched()
            assert await group.wait() == 0

    threads = [threading.Thread(target=anyio.run, args=[start]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not implementation._lifelines  # noqa: SLF001
