from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import preflight
from lifecycle.errors import DefinitionError, PreflightError

if TYPE_CHECKING:
    from pathlib import Path


def failure(check: Any) -> PreflightError:
    """Run a check that has to fail."""
    with pytest.raises(PreflightError) as caught:
        check()
    assert caught.value.check == check.name
    assert caught.value.exit_code is None
    return caught.value


def passes(check: Any) -> bool:
    """Run a check that may fail."""
    try:
        check()
    except PreflightError:
        return False
    return True


# --- env ------------------------------------------------------------------------------------------


def test_variables_that_are_set_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them has a value."""
    monkeypatch.setenv("ONE", "1")
    monkeypatch.setenv("TWO", "2")

    preflight.env("ONE", "TWO")()


def test_all_variables_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One run tells all; an empty variable is not set; no value is shown."""
    monkeypatch.setenv("SET", "secret")
    monkeypatch.setenv("EMPTY", "")
    for name in ("GONE", "AWAY"):
        monkeypatch.delenv(name, raising=False)

    assert failure(preflight.env("SET", "GONE")).reason == "GONE is not set, or empty"
    assert failure(preflight.env("GONE", "EMPTY")).reason == "GONE and EMPTY are not set, or empty"
    error = failure(preflight.env("GONE", "SET", "EMPTY", "AWAY"))
    assert error.reason == "GONE, EMPTY, AWAY are not set, or empty"
    assert "secret" not in str(error)


@pytest.mark.parametrize("names", [(), ("",), ("A=1",), (1,), (["A", "B"],)])
def test_env_takes_names(names: Any) -> None:
    """Anything else is an error where it is declared."""
    with pytest.raises(DefinitionError, match=r"preflight\.env takes the names"):
        preflight.env(*names)


# --- readable, writable ---------------------------------------------------------------------------


def test_what_can_be_read_passes(tmp_path: Path) -> None:
    """Files, directories, full or empty, by text or path."""
    file = tmp_path / "file"
    file.write_text("text")
    (tmp_path / "empty").mkdir()

    preflight.readable(file, tmp_path, str(tmp_path / "empty"))()


def test_what_can_be_written_passes(tmp_path: Path) -> None:
    """And nothing is changed, or left behind."""
    file = tmp_path / "file"
    file.write_text("text")

    preflight.writable(file, tmp_path)()

    assert file.read_text() == "text"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("check", [preflight.readable, preflight.writable])
def test_all_that_cannot_be_used_is_named(check: Any, tmp_path: Path) -> None:
    """One run tells all, and why."""
    file = tmp_path / "file"
    file.write_text("text")
    name = check.__name__

    error = failure(check(tmp_path / "gone", tmp_path, file / "below"))

    assert error.reason == (
        f"{tmp_path / 'gone'} is not {name}: No such file or directory; "
        f"{file / 'below'} is not {name}: Not a directory"
    )


def test_a_fifo_does_not_hold_anybody_up(tmp_path: Path) -> None:
    """Without a partner, to open one would wait for ever."""
    os.mkfifo(tmp_path / "fifo")

    preflight.readable(tmp_path / "fifo")()
    assert "No such device" in failure(preflight.writable(tmp_path / "fifo")).reason


def test_a_file_system_that_is_read_only_is_found() -> None:
    """Permissions say yes there, to root at least; trying says no."""
    assert "/proc is not writable" in failure(preflight.writable("/proc")).reason


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the user")
@pytest.mark.parametrize(("mode", "reads", "writes"), [(0o000, 0, 0), (0o444, 0, 0), (0o555, 1, 0)])
def test_permissions_count(tmp_path: Path, mode: int, reads: int, writes: int) -> None:
    """As the user that we are, not as root; to list a directory is not to enter it."""
    directory = tmp_path / "directory"
    directory.mkdir()
    (directory / "file").write_text("")
    for path in (tmp_path, *tmp_path.parents[:3]):  # all that pytest, or its worker, has made
        path.chmod(path.stat().st_mode | 0o055)
    directory.chmod(mode)
    os.seteuid(65534)
    try:
        passed = [passes(preflight.readable(directory)), passes(preflight.writable(directory))]
    finally:
        os.seteuid(0)

    assert passed == [reads, writes]


@pytest.mark.parametrize("check", [preflight.readable, preflight.writable])
@pytest.mark.parametrize("paths", [(), ("",), (1,), (None,)])
def test_they_take_paths(check: Any, paths: Any) -> None:
    """Anything else is an error where it is declared; 1 would be a descriptor."""
    with pytest.raises(DefinitionError, match=rf"preflight\.{check.__name__} takes paths"):
        check(*paths)


# --- free_space -----------------------------------------------------------------------------------


def test_enough_space_passes(tmp_path: Path) -> None:
    """A byte there is."""
    preflight.free_space(tmp_path, 1)()


def test_too_little_space_is_told_with_both_numbers(tmp_path: Path) -> None:
    """How much there is, and how much is needed."""
    error = failure(preflight.free_space(tmp_path, "900000 TiB"))

    assert error.reason.startswith(f"{tmp_path} has ")
    assert error.reason.endswith(" left, and needs 900000.0 TiB")


def test_no_such_path_is_told(tmp_path: Path) -> None:
    """A missing mount is a failure, not a crash."""
    reason = failure(preflight.free_space(tmp_path / "gone", 1)).reason

    assert reason == f"{tmp_path / 'gone'}: No such file or directory"


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (5, 5),
        ("5 B", 5),
        ("1 kB", 1000),
        ("1 KiB", 1024),
        ("500MB", 500_000_000),
        ("1.5 GiB", 3 * 2**29),
        ("2 TB", 2 * 10**12),
    ],
)
def test_amounts(amount: Any, expected: int) -> None:
    """Bytes, or a text with the units of the IEC and the SI."""
    assert preflight.free_space("/", amount).at_least == expected


@pytest.mark.parametrize("amount", [0, -1, 1.5, True, None, "", "5", "5 KB", "5 gb", "0 B", "5 iB"])
def test_other_amounts_are_refused(amount: Any) -> None:
    """An amount that could be read in two ways, or not at all, is an error."""
    with pytest.raises(DefinitionError, match=r"preflight\.free_space: .* is no amount"):
        preflight.free_space("/", amount)


def test_free_space_takes_a_path() -> None:
    """Anything else is an error where it is declared."""
    with pytest.raises(DefinitionError, match=r"preflight\.free_space takes a path"):
        preflight.free_space("", 1)


# --- tcp ------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_port_that_is_open_passes() -> None:
    """It connects, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()

        await preflight.tcp(f"{host}:{port}")()
        await preflight.tcp(host, port)()
        await preflight.tcp("localhost", port)()


@pytest.mark.anyio
async def test_a_port_that_opens_later_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that comes up with us is waited for."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        attempts = 0
        connect = anyio.connect_tcp

        async def watched(*args: Any, **options: Any) -> Any:
            nonlocal attempts
            attempts += 1
            if attempts == 2:
                server.listen()
            return await connect(*args, **options)

        monkeypatch.setattr(anyio, "connect_tcp", watched)
        await preflight.tcp("127.0.0.1", port, timeout=60)()

    assert attempts == 2


@pytest.mark.anyio
async def test_a_port_that_stays_closed_is_told() -> None:
    """With what the last attempt met."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        check = preflight.tcp("127.0.0.1", port, timeout=2)
        with pytest.raises(PreflightError) as caught:
            await check()

    error = caught.value
    assert (error.check, error.exit_code) == (f"tcp 127.0.0.1:{port}", None)
    assert error.reason.startswith("nothing to connect to in 2 s; the last attempt: ")
    assert "ConnectionRefusedError" in error.reason


@pytest.mark.anyio
async def test_a_host_that_answers_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt that hangs does not outlast the check."""

    async def hang(*_: Any, **__: Any) -> Any:
        await anyio.sleep_forever()

    monkeypatch.setattr(anyio, "connect_tcp", hang)
    with pytest.raises(PreflightError, match="the last attempt: TimeoutError: no answer"):
        await preflight.tcp("db:5432", timeout=0.01)()


@pytest.mark.anyio
async def test_a_name_that_is_not_known_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver's own words."""

    async def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(anyio, "connect_tcp", unknown)
    with pytest.raises(PreflightError, match=r"gaierror: .*Name or service not known"):
        await preflight.tcp("no.such.host:5432", timeout=0.01)()


class Several(Exception):  # noqa: N818
    """Stands for the group of errors that anyio makes of several attempts."""

    exceptions = (
        ConnectionRefusedError("v6"),
        ConnectionRefusedError("v4"),
        ConnectionRefusedError("v4"),
    )


@pytest.mark.anyio
async def test_what_each_address_of_a_name_met_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name has several; "all attempts failed" helps nobody."""

    async def refused(*_: Any, **__: Any) -> Any:
        message = "All connection attempts failed"
        raise OSError(message) from Several()

    monkeypatch.setattr(anyio, "connect_tcp", refused)
    with pytest.raises(PreflightError) as caught:
        await preflight.tcp("db:5432", timeout=0.01)()

    assert caught.value.reason.endswith(
        "the last attempt: ConnectionRefusedError: v6; ConnectionRefusedError: v4"
    )


@pytest.mark.parametrize(
    ("args", "host", "port"),
    [
        (("db:5432",), "db", 5432),
        (("db", 5432), "db", 5432),
        (("[::1]:5432",), "::1", 5432),
        (("::1", 5432), "::1", 5432),
        (("[::1]", 5432), "::1", 5432),
    ],
)
def test_addresses(args: Any, host: str, port: int) -> None:
    """Host and port, together or apart."""
    check = preflight.tcp(*args)

    assert (check.host, check.port) == (host, port)


@pytest.mark.parametrize(
    "args",
    [("db",), (":5432",), ("5432",), ("db:0",), ("db:x",), ("::1:5432",), ("db", 0), ("db", True),
     ("db", "x"), ("", 5432), ("db:1", 2), ("db", 99999), (None,), (5432,), (None, 1)],
    ids=str,
)  # fmt: skip
def test_other_addresses_are_refused(args: Any) -> None:
    """Where they are declared, with an example."""
    with pytest.raises(DefinitionError, match=r'preflight\.tcp takes .* tcp\("db:5432"\), not'):
        preflight.tcp(*args)


@pytest.mark.parametrize("timeout", [0, -1, True, None, float("nan")])
def test_tcp_needs_a_timeout(timeout: Any) -> None:
    """Its patience has an end."""
    with pytest.raises(DefinitionError, match=r"preflight\.tcp: timeout is"):
        preflight.tcp("db:1", timeout=timeout)
