from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Outcome, Registry, System, preflight, running
from lifecycle.errors import ClosedError, DefinitionError, PreflightError
from lifecycle.processes import ProcessGroup
from tests.e2e.kit import GENEROUS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.edges.witness import Witness

pytestmark = pytest.mark.anyio

LOGGER = "lifecycle.preflight"


@pytest.fixture(autouse=True)
def _all_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOGGER)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give who was asked to stop more than 2 s for it: a machine may have much else to do."""
    monkeypatch.setattr(ProcessGroup.run, "__defaults__", (GENEROUS,))


def sh(script: str, **options: Any) -> Any:
    """Make a check of a shell script."""
    return preflight.command(["sh", "-c", script], **options)


async def failure(check: Any) -> PreflightError:
    """Run a check that has to fail."""
    with pytest.raises(PreflightError) as caught:
        await check()
    return caught.value


async def test_a_command_that_ends_with_0_passes() -> None:
    """Exit code 0 is all that is asked."""
    assert await sh("echo complaints >&2; exit 0")() is None


@pytest.mark.parametrize("code", [1, 3, 78, 255])
async def test_the_exit_code_is_the_command_s_own(code: int) -> None:
    """The program ends with it, so it is not changed."""
    error = await failure(sh(f"exit {code}", name="migrate"))

    assert error.exit_code == code
    assert str(error) == f"preflight check 'migrate' failed: it exited with code {code}"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
async def test_killed_by_a_signal_is_128_and_the_signal(number: signal.Signals) -> None:
    """As shells have it."""
    error = await failure(sh(f"kill -{number:d} $$"))

    assert error.exit_code == 128 + number
    assert error.reason == f"it was killed by signal {number.name}"


async def test_killed_by_a_signal_without_a_name() -> None:
    """Real-time signals have numbers only."""
    number = signal.SIGRTMIN + 3
    error = await failure(sh(f"kill -{number} $$"))

    assert error.exit_code == 128 + number
    assert error.reason == f"it was killed by signal {number}"


@pytest.mark.parametrize("program", ["/nonexistent/program", "./program", "no-such-program"])
async def test_not_found_is_127(program: str) -> None:
    """As shells have it."""
    error = await failure(preflight.command([program]))

    assert error.exit_code == 127
    assert error.reason == f"{program} was not found"
    assert isinstance(error.__cause__, FileNotFoundError)


def make(path: Path, text: str, mode: int) -> Path:
    """Make a file."""
    path.write_text(text)
    path.chmod(mode)
    return path


async def test_not_executable_is_126(tmp_path: Path) -> None:
    """A file that is no program, or may not be executed, and a directory."""
    plain = make(tmp_path / "plain", "#!/bin/sh\n", 0o644)
    rubbish = make(tmp_path / "rubbish", "\x7fELF", 0o755)

    errors = [await failure(preflight.command([path])) for path in (plain, rubbish, tmp_path)]

    assert [error.exit_code for error in errors] == [126] * 3
    assert errors[0].reason == f"{plain} cannot be executed: Permission denied"
    assert errors[1].reason == f"{rubbish} cannot be executed: Exec format error"


async def test_a_script_without_its_interpreter_is_126(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script is there; "not found" would send people looking for it."""
    make(tmp_path / "script", "#!/no/such/interpreter\n", 0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    checks = [
        preflight.command([tmp_path / "script"]),
        preflight.command(["./script"], cwd=tmp_path),
        preflight.command(["script"]),
    ]
    for check in checks:
        error = await failure(check)
        assert error.exit_code == 126
        assert error.reason.endswith("the interpreter in its first line is not there")


async def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    """It is not the command that is missing, and there is no code."""
    error = await failure(preflight.command(["true"], cwd=tmp_path / "gone"))

    assert error.exit_code is None
    assert error.reason == f"there is no directory {tmp_path / 'gone'} to run it in"


async def test_it_runs_in_its_directory(tmp_path: Path) -> None:
    """A relative program is looked for there."""
    make(tmp_path / "script", "#!/bin/sh\ntest -e script\n", 0o755)

    await preflight.command(["./script"], cwd=tmp_path)()


async def test_the_last_lines_of_stderr_are_quoted() -> None:
    """What a person has to know stands in the error, and not more."""
    error = await failure(sh("echo out; for i in $(seq 30); do echo line $i >&2; done; exit 1"))

    head, *lines = error.reason.split("\n  | ")
    assert head == "it exited with code 1. The last lines of its stderr:"
    assert lines == [f"line {number}" for number in range(11, 31)]


async def test_long_lines_are_quoted_in_part() -> None:
    """An error is to be read."""
    error = await failure(sh("head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1"))

    assert error.reason.split("\n  | ")[1] == "x" * 500


async def test_stdout_is_quoted_where_stderr_is_silent() -> None:
    """Many a script complains there."""
    error = await failure(sh("echo 'not writable: /data'; exit 1"))

    assert error.reason == (
        "it exited with code 1. The last lines of its stdout:\n  | not writable: /data"
    )


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, int]]:
    """Give the output that was logged."""
    return [
        (record.__dict__["stream"], record.getMessage(), record.levelno)
        for record in caplog.records
        if record.name == LOGGER and "stream" in record.__dict__
    ]


async def test_output_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Each line with its stream and the check, whatever its bytes; the last without a line end."""
    await sh("echo one; printf '\\377two'; printf end >&2", name="migrate")()

    assert sorted(lines(caplog)) == [
        ("stderr", "migrate: end", logging.INFO),
        ("stdout", "migrate: one", logging.INFO),
        ("stdout", "migrate: \ufffdtwo", logging.INFO),
    ]
    assert {record.__dict__["check"] for record in caplog.records} == {"migrate"}


class OnRecord(logging.Handler):
    """Sets an event at the first record."""

    def __init__(self) -> None:
        super().__init__()
        self.event = anyio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        assert record.getMessage() == "x: one"
        self.event.set()


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """Give the logger, which loses its new handlers afterwards."""
    logger = logging.getLogger(LOGGER)
    before = logger.handlers[:]
    yield logger
    logger.handlers[:] = before


async def test_output_is_logged_as_it_comes(witness: Witness, logger: logging.Logger) -> None:
    """A migration of ten minutes shows where it is."""
    handler = OnRecord()
    logger.addHandler(handler)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sh(f"echo one; {witness.wait_for_go}", name="x"))
        await handler.event.wait()
        witness.go()


async def test_a_flood_of_output_does_not_block_it(caplog: pytest.LogCaptureFixture) -> None:
    """Both streams are read, more than pipes hold."""
    await sh("seq 20000; seq 20000 >&2; seq 20000")()

    assert len(lines(caplog)) == 60000


async def test_variables_are_laid_over_those_of_the_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is not named stays as it is."""
    monkeypatch.setenv("ONE", "ours")
    monkeypatch.setenv("TWO", "ours")

    await sh("echo $ONE $TWO $THREE", name="x", env={"TWO": "its", "THREE": "its"})()

    assert lines(caplog) == [("stdout", "x: ours its its", logging.INFO)]
    assert "THREE" not in os.environ


async def test_what_it_leaves_behind_is_killed(witness: Witness) -> None:
    """Nothing of its group survives it, so that nothing runs beside the program unseen."""
    script = f"exec 9>'{witness.path}'; (trap '' TERM; echo up >&9; exec sleep 1000) & "
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sh(f"{script} {witness.wait_for_go}"))
        assert await witness.word() == "up"
        witness.go()

    await witness.all_gone()


async def test_what_has_left_its_group_holds_nobody_up(witness: Witness) -> None:
    """A daemon in a session of its own may keep our pipe open."""
    script = f"exec 9>'{witness.path}'; setsid sh -c 'echo $$ >&9; exec sleep 1000' & "

    daemons: list[int] = []

    async def let_go() -> None:
        daemons.append(int(await witness.word()))
        witness.go()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(let_go)
        await sh(f"{script} {witness.wait_for_go}")()
    (daemon,) = daemons

    os.kill(daemon, signal.SIGKILL)
    await witness.all_gone()


async def test_one_that_takes_too_long_is_killed(witness: Witness) -> None:
    """With all that it has started; there is no code then, since it gave none."""
    script = f"exec 9>'{witness.path}'; echo waiting >&2; sleep 1000 & wait"
    error = await failure(sh(script, timeout=0.5, name="slow"))

    await witness.all_gone()
    assert error.exit_code is None
    assert error.reason.startswith(
        "it had not ended after 0.5 s, and was killed, with all that it had started"
    )


async def test_one_that_ends_well_when_asked_to_stop_has_taken_too_long() -> None:
    """A code of 0 after the timeout is no pass."""
    error = await failure(sh("trap 'exit 0' TERM; sleep 1000 & wait", timeout=0.5))

    assert error.exit_code is None


@pytest.mark.parametrize("trap", ["echo bye; exit 0", ""], ids=["listens", "deaf"])
async def test_cancelled_it_ends_the_group(
    witness: Witness,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
    trap: str,
) -> None:
    """It is asked to stop, what it says is logged, after 2 s it is killed; then we go on."""
    if trap:
        request.getfixturevalue("unhurried")
    script = f"exec 9>'{witness.path}'; trap '{trap}' TERM; echo up >&9; "
    script += "while :; do sleep 1000 & wait; done"
    reached = False
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sh(script, name="x"))
            await witness.word()
            scope.cancel()
        reached = True

    await witness.all_gone()
    assert scope.cancelled_caught
    assert not reached
    assert lines(caplog) == ([("stdout", "x: bye", logging.INFO)] if trap else [])


async def test_cancelled_before_it_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shutdown that was asked for already lets nothing begin."""
    started: list[Any] = []
    monkeypatch.setattr("lifecycle.preflight._command.ProcessGroup", started.append)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await sh("true")()

    assert scope.cancelled_caught
    assert started == []


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        (
            sh("echo hm >&2; exit 3", fail_on_error=False, name="x"),
            "it exited with code 3. The last",
        ),
        (preflight.command(["/no/such"], fail_on_error=False, name="x"), "/no/such was not found"),
        (
            sh("sleep 1000", fail_on_error=False, timeout=0.1, name="x"),
            "it had not ended after 0.1",
        ),
    ],
    ids=["code", "not found", "timeout"],
)
async def test_a_failure_can_be_tolerated_loudly(
    check: Any, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It passes, and a warning says what has happened."""
    await check()

    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.levelno == logging.WARNING
    tolerated = "tolerated, since fail_on_error is False: preflight check 'x' failed: "
    assert record.getMessage().startswith(f"{tolerated}{problem}")
    assert record.__dict__["check"] == "x"


async def test_a_lost_exit_code_is_no_pass() -> None:
    """Where SIGCHLD is ignored the system keeps no codes, and 0 would be a guess."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        error = await failure(sh("exit 1"))
    finally:
        signal.signal(signal.SIGCHLD, before)

    assert error.exit_code is None
    assert "its exit code is lost" in error.reason


async def test_an_unknown_user_is_told() -> None:
    """No such user is no such check."""
    error = await failure(preflight.command(["true"], user="nobody-at-all"))

    assert error.exit_code is None
    assert "nobody-at-all" in error.reason


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the user")
async def test_it_runs_as_another_user(caplog: pytest.LogCaptureFixture) -> None:
    """What is checked for a user is checked as that user."""
    await preflight.command(["id", "-un"], user="nobody")()

    assert lines(caplog) == [("stdout", "id -un: nobody", logging.INFO)]


@pytest.mark.parametrize("cwd", [None, "/"])
async def test_another_user_needs_root(cwd: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not root is told that, and not that the command may not be executed."""

    def refused(*_: object, **__: object) -> None:
        # What `subprocess` raises on 3.11 and later; before, the directory was its file name.
        raise PermissionError(1, "Operation not permitted", cwd)

    monkeypatch.setattr("lifecycle.processes.group.subprocess.Popen", refused)
    error = await failure(preflight.command(["true"], user="nobody", cwd=cwd))

    assert error.exit_code is None
    assert error.reason == "it cannot be run as user 'nobody': only root may change the user"


def test_it_works_outside_of_the_main_thread(anyio_backend: tuple[str, dict[str, Any]]) -> None:
    """No child watcher of the event loop is needed, and no signal."""
    backend, options = anyio_backend
    codes: list[int | None] = []

    async def main() -> None:
        codes.append((await failure(sh("exit 7"))).exit_code)

    thread = threading.Thread(
        target=lambda: anyio.run(main, backend=backend, backend_options=options)
    )
    thread.start()
    thread.join()

    assert codes == [7]


def test_many_at_once(anyio_backend: tuple[str, dict[str, Any]]) -> None:
    """Checks run concurrently; none takes the end of another for its own."""

    async def main() -> None:
        async def one(code: int) -> None:
            assert (await failure(sh(f"exit {code}"))).exit_code == code

        async with anyio.create_task_group() as tasks:
            for code in range(1, 41):
                tasks.start_soon(one, code)

    backend, options = anyio_backend
    anyio.run(main, backend=backend, backend_options=options)


@pytest.mark.parametrize("argv", ["echo 'it is' here", b"echo 'it is' here"], ids=["text", "bytes"])
def test_a_string_is_no_command(argv: Any) -> None:
    """There is no shell; the error shows the list."""
    with pytest.raises(DefinitionError) as caught:
        preflight.command(argv)

    assert str(caught.value) == (
        "preflight.command takes a list, not the string \"echo 'it is' here\": "
        "write ['echo', 'it is', 'here']"
    )


def test_a_string_that_cannot_be_split_is_no_command_either() -> None:
    """An open quote does not hide the error."""
    with pytest.raises(DefinitionError, match="takes a list, not the string"):
        preflight.command("echo 'x")


@pytest.mark.parametrize(
    "options",
    [
        {"argv": []},
        {"argv": [""]},
        {"argv": ["true", 1]},
        {"argv": None},
        {"timeout": 0},
        {"timeout": True},
        {"timeout": None},
        {"timeout": float("inf")},
        {"env": {"A": 1}},
    ],
    ids=str,
)
def test_what_cannot_be_used_is_refused_when_it_is_declared(options: dict[str, Any]) -> None:
    """Not when it runs, on the night of the deployment."""
    with pytest.raises(DefinitionError, match=r"preflight\.command"):
        preflight.command(**{"argv": ["true"], **options})


def test_its_name_is_the_command() -> None:
    """Or what it is given."""
    assert preflight.command([sys.executable, "-m", "a b"]).name == f"{sys.executable} -m 'a b'"
    assert preflight.command([Path("/bin/x"), ""]).name == "/bin/x ''"
    assert preflight.command(["x"], name="migrate").name == "migrate"
    assert preflight.command(["x" * 200]).name == "x" * 79 + "…"


@pytest.mark.usefixtures("unhurried")
async def test_a_command_that_a_shutdown_cuts_off_has_its_time_to_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What has to be rolled back is, and that is no failure of anything."""
    shop = Registry("shop")
    roll_back = "sleep 0.7; echo rolled back; exit 1"
    shop.preflight(sh(f"trap '{roll_back}' TERM; echo up; sleep 1000 & wait", name="x"))
    systems: list[System] = []

    def once_it_is_up(record: logging.LogRecord) -> bool:
        if record.getMessage() == "x: up":
            systems[0].shut_down("a deploy")
        return True

    @contextlib.asynccontextmanager
    async def companion(system: System) -> AsyncIterator[None]:
        systems.append(system)
        yield

    logger = logging.getLogger(LOGGER)
    logger.addFilter(once_it_is_up)
    try:
        with pytest.raises(ClosedError) as closed:
            async with running(shop, companions=[companion]):
                pass
    finally:
        logger.removeFilter(once_it_is_up)

    assert closed.value.report is not None
    assert (Outcome.CLEAN, ()) == (closed.value.report.outcome, closed.value.report.errors)
    assert ("stdout", "x: rolled back", logging.INFO) in lines(caplog)
