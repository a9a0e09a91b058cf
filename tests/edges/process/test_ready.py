from __future__ import annotations

import os
import re
import socket
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle.errors import ClosedError, DefinitionError
from lifecycle.integrations import _living, process
from lifecycle.integrations.process import _process
from tests.e2e.kit import GENEROUS
from tests.edges.process.kit import DEAF, STAY, live, py, sh, shop_of, starting
from tests.ports import held_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lifecycle import Lifetime
    from tests.edges.witness import Witness

pytestmark = pytest.mark.anyio

SERVES = """
import os, socket, sys
gate, witness, answers = sys.argv[2:]
witness = os.open(witness, os.O_WRONLY)
kind = socket.AF_INET if sys.argv[1].isdigit() else socket.AF_UNIX
where = ("127.0.0.1", int(sys.argv[1])) if sys.argv[1].isdigit() else sys.argv[1]
os.write(witness, b"up\\n")
open(gate).readline()
server = socket.socket(kind)
if kind is socket.AF_INET:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(where)
server.listen()
answers = answers.split(",")
while True:
    client, _ = server.accept()
    request = client.recv(4096) if answers[0] else b""
    if request:
        status = answers.pop(0) if len(answers) > 1 else answers[0]
        client.sendall(b"HTTP/1.1 " + status.encode() + b" so\\r\\n\\r\\n")
        os.write(witness, request.split(b"\\r")[0] + b"\\n")
    client.close()
"""


async def check_ready(witness: Witness, part: process.Process, *words: str) -> None:
    """See that it is not ready before it was let go, and then is."""
    async with starting(part) as system:
        assert await witness.word() == "up"
        await anyio.wait_all_tasks_blocked()
        assert not system.is_ready.is_set()
        witness.go()
        with anyio.fail_after(GENEROUS):
            await system.is_ready.wait()
            assert [await witness.word() for _ in words] == list(words)
    assert system.lived.errors == []
    assert await witness.all_gone() == ""


def serving(where: object, witness: Witness, answers: str = "") -> list[str]:
    """Make a program that listens when it is let go."""
    return py(SERVES, str(where), str(witness.gate_path), str(witness.path), answers)


async def test_at_once(witness: Witness) -> None:
    """Where nothing is said, a program is ready when it runs, and its process id is known."""
    shop = shop_of(part := sh(STAY, witness))

    async def body(_: object) -> None:
        assert await witness.word() == "up"
        assert part.pids == (part.pid,)
        assert os.getpgid(part.pid) == os.getsid(part.pid) == part.pid

    assert (await live(shop, body)).errors == []
    await witness.all_gone()
    assert part.pids == ()


async def test_tcp(witness: Witness) -> None:
    """Ready when something listens at the port."""
    with held_port() as port:
        ready = process.tcp("127.0.0.1", port)
        await check_ready(witness, process.process(serving(port, witness), ready=ready))


async def test_unix(witness: Witness, tmp_path: Path) -> None:
    """Ready when something listens at the path."""
    path = tmp_path / "socket"
    await check_ready(witness, process.process(serving(path, witness), ready=process.unix(path)))


async def test_http(witness: Witness) -> None:
    """Ready when the answer is no error: not while the server says that it is not."""
    with held_port() as port:
        program = serving(port, witness, "503,500,204")
        ready = process.http(f"http://127.0.0.1:{port}/ping?all=1")
        await check_ready(
            witness, process.process(program, ready=ready), *["GET /ping?all=1 HTTP/1.1"] * 3
        )


async def test_http_with_a_status(witness: Witness) -> None:
    """Where one is named, no other will do."""
    with held_port() as port:
        ready = process.http(f"http://127.0.0.1:{port}", status=401)
        await check_ready(
            witness,
            process.process(serving(port, witness, "200,401"), ready=ready),
            *["GET / HTTP/1.1"] * 2,
        )


async def test_what_listens_already_is_not_the_program(witness: Witness) -> None:
    """It would be taken for ready by somebody else's answers: that is an error before it starts."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        lived = await live(shop_of(sh(STAY, witness, ready=process.tcp(f"127.0.0.1:{port}"))))

    (error,) = lived.errors
    assert error == (
        "StartError: 'part' did not start: ProcessError: something else listens at "
        f"127.0.0.1:{port} already: this program could neither listen there, nor be told from it. "
        "What is left of an earlier run?"
    )
    assert await witness.all_gone() == ""


@pytest.mark.parametrize("stream", ["stdout", "stderr", None])
async def test_line(witness: Witness, stream: Any) -> None:
    """Ready when a line matches, on the stream that is named."""
    other = {"stdout": "echo listening at 1 >&2;", "stderr": "echo listening at 1;", None: ""}
    to = ">&2" if stream == "stderr" else ""
    text = f"""
        echo not listening; {other[stream]} echo up >&9; {witness.wait_for_go}
        echo It is listening at 80 {to}; {STAY.removeprefix("echo up >&9; ")}"""
    ready = process.line(r"listening at \d+$", stream=stream)
    await check_ready(witness, sh(text, witness, ready=ready))


@pytest.mark.parametrize("is_old", [False, True], ids=["new", "old"])
async def test_file(witness: Witness, tmp_path: Path, *, is_old: bool) -> None:
    """Ready when the file is there; one that was there before has to change."""
    path = tmp_path / "pid"
    if is_old:
        path.write_text("from an earlier run")
    text = f"echo up >&9; {witness.wait_for_go}; echo $$ >'{path}'; sleep 1000 & wait"
    await check_ready(witness, sh(text, witness, ready=process.file(path)))


NOTIFIES = """
import os, socket, sys
gate, witness, times = sys.argv[1:]
witness = os.open(witness, os.O_WRONLY)
name = os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1)
tell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
tell.connect(name)
tell.send(b"STATUS=is ready soon\\nREADY=0\\n")
os.write(witness, b"up\\n")
open(gate).readline()
tell.send(b"STATUS=ready\\nREADY=1\\nMAINPID=1")
for number in range(int(times)):
    tell.send(b"STATUS=%d" % number)
os.write(witness, b"has told\\n")
import signal; signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
async def test_notify(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ready when it says so as to systemd; of systemd's own socket it is not told."""
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("WATCHDOG_USEC", "1000")
    program = py(NOTIFIES, str(witness.gate_path), str(witness.path), "0")
    await check_ready(witness, process.process(program, ready=process.notify()), "has told")


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
async def test_who_notifies_is_never_held_up(witness: Witness) -> None:
    """Somebody listens to the end: the socket would be full after 10 messages."""
    program = py(NOTIFIES, str(witness.gate_path), str(witness.path), "1000")
    async with starting(process.process(program, ready=process.notify())) as system:
        assert await witness.word() == "up"
        witness.go()
        assert await witness.word() == "has told"
        await system.is_ready.wait()
    assert system.lived.errors == []


async def test_when(witness: Witness) -> None:
    """Ready when a function has returned, that can look for whatever it likes."""

    async def is_there() -> None:
        assert await witness.word() == "up"
        calls.append("is there")

    calls: list[str] = []
    async with starting(sh(STAY, witness, ready=process.when(is_there))) as system:
        await system.is_ready.wait()
    assert calls == ["is there"]
    assert system.lived.errors == []


async def test_when_fails(witness: Witness) -> None:
    """What it raises is the cause of the start's failure, and the program is gone."""

    async def is_there() -> None:
        assert await witness.word() == "up"
        message = "it says no"
        raise ConnectionError(message)

    lived = await live(shop_of(sh(STAY, witness, ready=process.when(is_there))))

    assert lived.errors == ["StartError: 'part' did not start: ConnectionError: it says no"]
    await witness.all_gone()


NEVER: dict[str, tuple[process.Ready, str]] = {
    "tcp": (process.tcp("127.0.0.1:1"), "somebody to listen at 127.0.0.1:1"),
    "unix": (process.unix("/no/such"), "somebody to listen at /no/such"),
    "http": (process.http("http://127.0.0.1:1/"), "an answer below 400 from http://127.0.0.1:1/"),
    "line": (process.line("never"), "a line that matches 'never' on its output"),
    "file": (process.file("/no/such"), "the file /no/such to be written"),
    "notify": (process.notify(), "READY=1 at its NOTIFY_SOCKET"),
    "when": (process.when(anyio.sleep_forever), "sleep_forever() to return"),
}


@pytest.mark.parametrize("kind", NEVER)
async def test_who_ends_is_not_waited_for(witness: Witness, kind: str) -> None:
    """The end of the program ends the wait at once, and not when the time to start is over."""
    ready, awaited = NEVER[kind]
    part = sh("echo what a pity >&2; exit 7", witness, ready=ready)

    lived = await live(shop_of(part, start_timeout=10_000))

    (error,) = lived.errors
    said = re.sub(r" \(the last attempt: [^)]*\)", "", error)
    assert said == (
        "StartError: 'part' did not start: ProcessError: it exited with code 7 before it was "
        f"ready, which waited for {awaited}. The last lines of its stderr:\n  | what a pity"
    )
    await witness.all_gone()


@pytest.fixture
def time_is_over(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Say, when that is due, that the time to start is over, however fast the machine is."""
    found: list[Lifetime[Any]] = []
    current = _living.owner  # to look at what it finds

    def note() -> Lifetime[Any] | None:
        lifetime = current()
        assert lifetime is not None
        found.append(lifetime)
        return lifetime

    monkeypatch.setattr(_process, "current_owner", note)
    # It cannot ask for less time itself.
    return lambda: found[0]._host.limit_to(0)  # noqa: SLF001  to be the clock


@pytest.mark.parametrize("kind", ["tcp", "http", "line", "notify"])
async def test_a_wait_that_takes_too_long_is_told(
    witness: Witness, kind: str, time_is_over: Callable[[], None]
) -> None:
    """With what was waited for; nothing of the program is left."""
    ready, awaited = NEVER[kind]
    part = sh(f"echo wait >&2; {STAY}", witness, ready=ready)

    async with starting(part, start_timeout=1000) as system:
        assert await witness.word() == "up"
        time_is_over()
    lived = system.lived

    assert lived.errors[0].startswith("StartTimeoutError: 'part' was not ready after ")
    assert lived.error is not None
    said = re.sub(r" \(the last attempt: [^)]*\)", "", str(lived.error.__cause__))
    assert said.startswith(f"it runs, and is not ready: it waited for {awaited}")
    assert await witness.all_gone() == ""


async def test_a_name_that_nobody_knows_is_told_as_such(
    witness: Witness, time_is_over: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number is none of the system's errors."""
    attempts: list[object] = []

    async def nobody(*address: object) -> None:
        attempts.append(address)
        if len(attempts) == THE_LAST:
            time_is_over()
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(anyio, "connect_tcp", nobody)
    part = sh(STAY, witness, ready=process.tcp("shop.invalid:80"))

    async with starting(part, start_timeout=1000) as system:
        pass

    assert system.lived.error is not None
    assert str(system.lived.error.__cause__).startswith(
        "it runs, and is not ready: it waited for somebody to listen at shop.invalid:80 "
        "(the last attempt: Name or service not known)"
    )
    await witness.all_gone()


THE_LAST = 3
"""The first is before the program runs."""
TAKES_AN_ADDRESS = 'process.tcp takes host and port, as in tcp("127.0.0.1:9000")'
TAKES_A_URL = 'process.http takes a URL, as in http("http://127.0.0.1:8080/ping")'


@pytest.mark.parametrize(
    "address", ["nowhere", "127.0.0.1:0", "127.0.0.1:99999", "a b:1", b"127.0.0.1:80", 9000, None]
)
def test_what_is_no_address_is_refused(address: Any) -> None:
    """When it is declared, and not when it runs."""
    with pytest.raises(DefinitionError, match=re.escape(f"{TAKES_AN_ADDRESS}, not {address!r}")):
        process.tcp(address)


@pytest.mark.parametrize("port", [0, 99999, "9000", True, 1.5])
def test_what_is_no_port_is_refused(port: Any) -> None:
    """Likewise, where it stands beside the host."""
    with pytest.raises(DefinitionError, match=re.escape(TAKES_AN_ADDRESS)):
        process.tcp("127.0.0.1", port)


@pytest.mark.parametrize("path", ["", 5, None])
def test_what_is_no_path_is_refused(path: Any) -> None:
    """Likewise."""
    with pytest.raises(DefinitionError, match=rf"process\.unix takes a path, .*, not {path!r}"):
        process.unix(path)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1",
        "https://127.0.0.1:8443",
        "//127.0.0.1:80",
        "http://127.0.0.1:0",
        "127.0.0.1:80",
        "http://127.0.0.1:port",
        "http://me:secret@127.0.0.1",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/\r\nX-More: 1",
        b"http://127.0.0.1",
        80,
    ],
)
def test_what_is_no_url_is_refused(url: Any) -> None:
    """Likewise; TLS, passwords and further lines are none of it."""
    with pytest.raises(DefinitionError, match=re.escape(f"{TAKES_A_URL}, not {url!r}")):
        process.http(url)


@pytest.mark.parametrize("status", ["200", 20, 2000, True])
def test_what_is_no_status_is_refused(status: Any) -> None:
    """Likewise: nobody would ever answer with it."""
    with pytest.raises(DefinitionError, match=rf"process\.http: status is {status!r}, but must"):
        process.http("http://127.0.0.1", status=status)


def test_what_is_no_pattern_and_no_function_is_refused() -> None:
    """Likewise."""
    nothing: Any = "x"
    with pytest.raises(DefinitionError, match=r"process\.line takes a regular expression; '\('"):
        process.line("(")
    for pattern in (b"up", re.compile(b"up"), 5):
        bad: Any = pattern
        with pytest.raises(DefinitionError, match=r"a regular expression for text, not "):
            process.line(bad)
    with pytest.raises(DefinitionError, match=r"process\.line: stream is 'x', but must be"):
        process.line("up", stream=nothing)
    with pytest.raises(DefinitionError, match=r"process\.when takes an async function, not 'x'"):
        process.when(nothing)


def test_an_address_of_ipv6_is_one() -> None:
    """In brackets, or with its port beside it."""
    assert process.tcp("[::1]:80") == process.tcp("::1", 80)


@pytest.mark.parametrize("anyio_backend", [("trio", {})], ids=["trio"])  # it takes 2 s
async def test_who_is_late_and_deaf_is_killed(
    witness: Witness, time_is_over: Callable[[], None]
) -> None:
    """When a start is over in vain, SIGTERM has 2 s; then everything is killed."""
    part = sh(f"(trap '' TERM; sleep 1000) & {DEAF}", witness, ready=process.line("never"))

    async with starting(part, start_timeout=1000) as system:
        assert await witness.word() == "up"
        time_is_over()

    assert system.lived.exit_code == 69
    await witness.all_gone()


async def test_a_shutdown_while_it_starts_ends_it(witness: Witness) -> None:
    """That is no failure; the program is asked to end, and nothing of it is left."""
    part = sh(f"trap 'echo bye >&9; exit 0' TERM; {STAY}", witness, ready=process.line("never"))
    shop = shop_of(part)

    @shop.service
    async def impatient(life: Lifetime) -> None:
        life.started()
        assert await witness.word() == "up"
        life.system.shut_down("no patience")
        await life.wait_draining()

    lived = await live(shop)

    assert isinstance(lived.error, ClosedError)
    assert (lived.errors, lived.exit_code) == ([], 0)
    assert await witness.all_gone() == "bye\n"
