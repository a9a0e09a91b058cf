"""The servers that the recipes talk to: Debian's, run for the tests, by nobody."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from tests.e2e import kit
from tests.ports import held_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_AS_NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")


@attrs.frozen
class Kind:
    """A server, and how to run it."""

    name: str
    package: str
    """Debian's."""
    program: str
    arguments: tuple[str, ...]
    """With the port, and a folder of its own, to be filled in."""
    ready: str
    """What it says then."""
    end: int
    """The signal that ends it at once, and in order."""
    scheme: str
    prepare: tuple[str, ...] = ()
    """What is run once, before."""

    def path(self, program: str) -> str | None:
        """Where a program of it is: Debian has those of PostgreSQL in no usual place."""
        usual = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        return shutil.which(program, path=os.pathsep.join([usual, *map(str, found)]))

    def why_not(self) -> str | None:
        """Say why it cannot be run here; None where it can."""
        if self.path(self.program) is None:
            return f"{self.program} is not installed (Debian: apt-get install {self.package})"
        if os.geteuid() == 0 and shutil.which(_AS_NOBODY[0]) is None:
            return f"{_AS_NOBODY[0]} is not installed"
        return None


POSTGRES = Kind(
    name="postgres",
    package="postgresql",
    program="postgres",
    prepare=("initdb", "--no-sync", "--auth=trust", "--username=shop", "--pgdata={folder}/data"),
    arguments=(
        *("-D", "{folder}/data", "-p", "{port}", "-h", "127.0.0.1", "-k", "{folder}", "-F"),
        *("-c", "max_connections=20", "-c", "shared_buffers=16MB"),
    ),
    ready="database system is ready to accept connections",
    end=signal.SIGINT,
    scheme="postgresql://shop@127.0.0.1:{port}/postgres",
)
REDIS = Kind(
    name="redis",
    package="redis-server",
    program="redis-server",
    arguments=("--port", "{port}", "--bind", "127.0.0.1", "--save", "", "--dir", "{folder}"),
    ready="Ready to accept connections",
    end=signal.SIGTERM,
    scheme="redis://127.0.0.1:{port}",
)
NATS = Kind(
    name="nats",
    package="nats-server",
    program="nats-server",
    arguments=("--port", "{port}", "--addr", "127.0.0.1"),
    ready="Server is ready",
    end=signal.SIGINT,
    scheme="nats://127.0.0.1:{port}",
)
KINDS = (POSTGRES, REDIS, NATS)


@attrs.define
class Server:
    """One of these servers, with a port that stays the same: it can be ended, and run again."""

    kind: Kind
    folder: Path
    port: int
    _running: contextlib.ExitStack = attrs.field(factory=contextlib.ExitStack)
    _process: kit.Process | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return self.kind.scheme.format(port=self.port)

    def start(self) -> None:
        """Run it, and wait until it is ready."""
        command = _command(self.kind, self.kind.program, self.kind.arguments, self)
        self._process = self._running.enter_context(kit.running(*command, cwd=self.folder))
        self._process.until(self.kind.ready)

    def stop(self) -> None:
        """End it, if it runs, and wait for that."""
        if self._process is not None:
            self._process.send(self.kind.end)
            self._process.wait()
            self._process = None
        self._running.close()

    @property
    def connections(self) -> int:
        """How many connections to it are open, from this machine."""
        theirs = f":{self.port:04X}"
        lines = Path("/proc/net/tcp").read_text(encoding="utf-8").splitlines()[1:]
        fields = [line.split() for line in lines]
        return sum(field[2].endswith(theirs) and field[3] == "01" for field in fields)


@contextlib.contextmanager
def prepared(kind: Kind) -> Iterator[Server]:
    """Give a server that can be started; at the end nothing of it is left."""
    # Not pytest's: nobody but their owner may enter those.
    with tempfile.TemporaryDirectory(prefix=f"lifecycle-{kind.name}-") as name, held_port() as port:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
        server = Server(kind, folder, port)
        if kind.prepare:
            program, *arguments = kind.prepare
            subprocess.run(
                _command(kind, program, arguments, server),
                check=True,
                cwd=folder,
                stdout=subprocess.DEVNULL,
            )
        try:
            yield server
        finally:
            server.stop()


def _command(kind: Kind, program: str, arguments: Sequence[str], server: Server) -> list[str]:
    path = kind.path(program)
    assert path is not None, f"{kind.package} is not installed"
    words = [word.format(port=server.port, folder=server.folder) for word in arguments]
    # As root it would be another one than people run: PostgreSQL refuses that.
    return [*(_AS_NOBODY if os.geteuid() == 0 else ()), path, *words]
