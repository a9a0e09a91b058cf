"""A `systemd --user` of its own, for tests: the real one, on a machine that need not run it.

It lives in a mount namespace with a `/run` of its own, and in control groups of its own, so that it
neither sees nor touches a systemd that the machine may have. That takes root, and Linux.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.kit import GENEROUS

if TYPE_CHECKING:
    from collections.abc import Iterator

SYSTEMD = Path("/lib/systemd/systemd")
RUNTIME = "/run/user/0"
TARGETS = ("basic.target", "default.target")
_UNSHARE = ("unshare", "--mount", "--propagation", "private")
_ENTER = f"""
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system {RUNTIME}
chmod 700 {RUNTIME}
for group in "$@"; do echo $$ > "$group/cgroup.procs"; done
exec {SYSTEMD} --user
"""


def why_not() -> str | None:
    """Say why there can be no systemd here; None where there can."""
    if not SYSTEMD.exists():
        return "systemd is not installed (Debian: apt-get install systemd)"
    missing = [tool for tool in ("unshare", "nsenter", "systemctl") if shutil.which(tool) is None]
    if missing:
        return f"{missing[0]} is not installed"
    if os.geteuid() != 0:
        return "only root can make a mount namespace and control groups"
    tried = subprocess.run(
        [*_UNSHARE, "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return tried.stderr.strip() or None


class Manager:
    """A running `systemd --user`."""

    def __init__(self, pid: int, units: Path) -> None:
        self._pid = pid
        self.units = units
        """The folder in which units are looked for."""

    def systemctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `systemctl --user`; what it writes is one text, as in a terminal."""
        enter = ("nsenter", "--mount", f"--target={self._pid}")
        return subprocess.run(
            [*enter, "systemctl", "--user", "--no-pager", *words],
            env={**os.environ, "XDG_RUNTIME_DIR": RUNTIME},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=3 * GENEROUS,
        )

    def write(self, name: str, text: str) -> None:
        """Write a unit, or a drop-in of one (``shop.service.d/test.conf``)."""
        path = self.units / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def running_systemd(folder: Path) -> Iterator[Manager]:
    """Run a `systemd --user`; at the end nothing of it, and of what it has started, is left."""
    units = folder / "units"
    units.mkdir()
    for name in TARGETS:  # its own ones would start whatever is installed on this machine
        (units / name).write_text(f"[Unit]\nDescription={name}\n", encoding="utf-8")
    log = (folder / "log").open("wb")
    with log, _control_groups(f"lifecycle-{os.getpid()}") as groups:
        ready = _ready(folder)
        process = subprocess.Popen(
            [*_UNSHARE, "sh", "-ec", _ENTER, "sh", *groups],
            env={
                **os.environ,
                "HOME": str(folder),
                "NOTIFY_SOCKET": ready.getsockname(),
                "SYSTEMD_LOG_TARGET": "console",
                "SYSTEMD_UNIT_PATH": f"{units}:",  # the colon: and the usual places
                "XDG_RUNTIME_DIR": RUNTIME,
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            _await(ready, folder / "log")
            yield Manager(process.pid, units)
        finally:
            process.terminate()
            try:
                process.wait(GENEROUS)
            finally:
                process.kill()


def _ready(folder: Path) -> socket.socket:
    """Where it says that it is ready, as any service does."""
    ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ready.bind(str(folder / "ready"))
    ready.settimeout(GENEROUS)
    return ready


def _await(ready: socket.socket, log: Path) -> None:
    # Closed then: it goes on to tell of long jobs, and stands still when nobody reads that.
    with ready:
        try:
            while b"READY=1" not in ready.recv(4096).split(b"\n"):
                pass
        except TimeoutError:
            message = f"systemd is not ready after {GENEROUS:g} s; it says:\n{log.read_text()}"
            raise AssertionError(message) from None


@contextlib.contextmanager
def _control_groups(name: str) -> Iterator[list[str]]:
    """Make a group for it in each hierarchy that systemd uses: of version 2, and its own of 1."""
    made = [parent / name for parent in _hierarchies()]
    for group in made:
        group.mkdir()
    try:
        yield [str(group) for group in made]
    finally:
        for group in made:
            for folder, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):  # something is left in it: not ours to hide
                    Path(folder).rmdir()


def _hierarchies() -> Iterator[Path]:
    """Where this process is in these hierarchies."""
    paths: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        paths[controllers] = path
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields = line.split()
        where, kind, options = fields[4], fields[-3], fields[-1].split(",")
        if kind == "cgroup2":
            yield Path(where + paths.get("", "/"))
        elif kind == "cgroup" and "name=systemd" in options:
            yield Path(where + paths.get("name=systemd", "/"))
