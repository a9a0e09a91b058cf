"""One run of a pod's command: a process that leads a session of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from anyio.abc import Process


class Container:
    """A process, and what it has written."""

    def __init__(self, process: Process, output: list[str]) -> None:
        """Made by :func:`running`."""
        self._process = process
        self._output = output
        self.ended = anyio.Event()

    async def wait(self) -> int:
        """Wait for its end; the exit code, which is 128 and the signal where one killed it."""
        code = await self._process.wait()
        self.ended.set()
        return code if code >= 0 else 128 - code

    def send(self, number: signal.Signals) -> None:
        """Send a signal to its first process, as to the one with id 1 of a container."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def kill(self) -> None:
        """End all that is in it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def read(self) -> None:
        """Collect what it writes, until it has ended."""
        stdout = self._process.stdout
        assert stdout is not None
        unfinished = ""
        async for data in stdout:
            *lines, unfinished = (unfinished + data.decode(errors="replace")).split("\n")
            self._output.extend(lines)
        if unfinished:
            self._output.append(unfinished)


@contextlib.asynccontextmanager
async def running(
    command: Sequence[str], env: Mapping[str, str], output: list[str]
) -> AsyncGenerator[Container]:
    """Run a command; at the end of the `with` nothing of it is left.

    Args:
        command: the program, and its arguments.
        env: beside the variables of this process.
        output: where its lines go, stderr among them.

    """
    process = await anyio.open_process(
        command,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    container = Container(process, output)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(container.read)
            try:
                yield container
            finally:
                container.kill()
    finally:
        container.kill()
        with anyio.CancelScope(shield=True):
            await process.aclose()


async def run(command: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a command to its end; give its exit code. Cancelled, it kills all of it."""
    async with running(command, env, []) as container:
        return await container.wait()
