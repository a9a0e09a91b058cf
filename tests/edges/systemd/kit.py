"""What the tests of the systemd edge share: a receiver of datagrams, as systemd is one."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

import anyio

from lifecycle.report import ComponentStatus, Status
from lifecycle.states import Phase, State

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from lifecycle import System


class Receiver:
    """Takes datagrams at an address, as NOTIFY_SOCKET has it; the kernel keeps 10 unread ones."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(address.replace("@", "\0", 1))

    def read_one(self) -> str:
        """Read a datagram that has come: its assignments, in one line."""
        return ", ".join(self._socket.recv(65536).decode().split("\n"))

    def read(self) -> list[str]:
        """Read everything that has come."""
        said: list[str] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                said.append(self.read_one())
        return said

    def fill(self) -> None:
        """Have no room any more."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            other.connect(self._socket.getsockname())
            with contextlib.suppress(BlockingIOError):
                while True:
                    other.send(b"X_FROM=somebody else")

    async def next(self) -> str:
        """Wait for a datagram."""
        await anyio.wait_readable(self._socket)
        return self.read_one()

    def reading(
        self, note: Callable[[str], object]
    ) -> Callable[[System], contextlib.AbstractAsyncContextManager[None]]:
        """Note everything as it comes: a companion. What comes at the very end is left to read."""

        @contextlib.asynccontextmanager
        async def receiver(system: System) -> AsyncIterator[None]:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._read_along, note)
                yield
                tasks.cancel_scope.cancel()

        return receiver

    async def _read_along(self, note: Callable[[str], object]) -> None:
        while True:
            note(await self.next())

    def close(self) -> None:
        """Go away."""
        self._socket.close()


def status_of(
    phase: Phase, *components: ComponentStatus, started: bool | None = None, **fields: Any
) -> Status:
    """How a system stands, with defaults that fit its phase."""
    if started is None:
        started = phase not in (Phase.PREFLIGHT, Phase.STARTING, Phase.ROLLING_BACK)
    is_ending = phase not in (Phase.PREFLIGHT, Phase.STARTING, Phase.RUNNING)
    given: dict[str, Any] = {
        "ready": phase is Phase.RUNNING,
        "reason": "received SIGTERM" if is_ending else None,
        "in_flight": (),
        **fields,
    }
    return Status(
        phase=phase, components={one.name: one for one in components}, started=started, **given
    )


def component(name: str, state: State, since: float = 0.0, **fields: Any) -> ComponentStatus:
    """How a component stands."""
    return ComponentStatus(name=name, state=state, since=since, **fields)
