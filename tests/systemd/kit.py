"""Units of the tests, and what there is to see of them from outside."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from tests.e2e import kit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.systemd.rig import Manager

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).parent / "programs" / "shop.py"


@attrs.frozen
class Unit:
    """A service of `Type=notify`."""

    manager: Manager
    name: str
    output: kit.Process
    """What its processes have written; after its end, also ``ended: RESULT``."""

    def start(self) -> bool:
        """Start it, and wait until it is ready; says whether it is."""
        return self.manager.systemctl("start", self.name).returncode == 0

    def stop(self) -> None:
        """Stop it, and wait until it has stopped."""
        self.manager.systemctl("stop", self.name)

    def terminate(self) -> None:
        """Stop it, and do not wait."""
        self.manager.systemctl("stop", "--no-block", self.name)

    def ended(self) -> tuple[str, str, str]:
        """Wait for its end, by whomever; says what systemd makes of it: result, how, code."""
        found = self.output.until(r"^ended: (\S+) (\S*) (\S*)$")
        self.stop()  # the end of what has written that
        return found[1], found[2], found[3]

    def show(self, name: str) -> str:
        """One of its properties."""
        shown = self.manager.systemctl("show", f"--property={name}", "--value", self.name).stdout
        return shown.rstrip("\n")

    @property
    def status(self) -> str:
        """What it last said of itself."""
        return self.show("StatusText")


@contextlib.contextmanager
def unit(
    manager: Manager,
    folder: Path,
    mode: str,
    seconds: float = 0.0,
    backend: str = "asyncio",
    **settings: object,
) -> Iterator[Unit]:
    """A service that runs `programs/shop.py`; at the end it has ended, and its unit is gone.

    Args:
        manager: what runs it.
        folder: where its output goes.
        mode: what is to happen.
        seconds: how long that takes.
        backend: the event loop.
        **settings: those of the unit's ``[Service]``.

    """
    name = f"{mode}-{backend}.service"
    command = f"{sys.executable} {PROGRAM} {mode} {seconds} {backend}"
    environment = "PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1"
    service = {"Type": "notify", "ExecStart": command, "Environment": environment, **settings}
    with observed(manager, name, folder) as output:
        manager.write(name, section("Service", service))
        manager.systemctl("daemon-reload")
        try:
            yield Unit(manager, name, output)
        finally:
            remove(manager, name)


@contextlib.contextmanager
def observed(manager: Manager, name: str, folder: Path) -> Iterator[kit.Process]:
    """What a service writes, and, when it has ended, systemd's own words for how that went."""
    fifo = folder / f"{name}.output"
    os.mkfifo(fifo)
    # Open for writing all the time: otherwise its reader would end with its first writer.
    writer = os.open(fifo, os.O_RDWR)
    settings = {
        "StandardOutput": f"file:{fifo}",
        "StandardError": "inherit",
        "ExecStopPost": "/bin/sh -c 'echo ended: $SERVICE_RESULT $EXIT_CODE $EXIT_STATUS'",
        "LimitCORE": 0,
    }
    manager.write(f"{name}.d/observed.conf", section("Service", settings))
    try:
        with kit.running("cat", fifo) as output:
            yield output
    finally:
        os.close(writer)


def section(name: str, settings: Mapping[str, object]) -> str:
    """Write a section of a unit."""
    return "\n".join([f"[{name}]", *(f"{key}={value}" for key, value in settings.items()), ""])


def remove(manager: Manager, *names: str) -> None:
    """End units, however they are, and forget them."""
    manager.systemctl("kill", "--signal=SIGKILL", *names)
    manager.systemctl("stop", *names)
    manager.systemctl("reset-failed", *names)
    for name in names:
        (manager.units / name).unlink()
    manager.systemctl("daemon-reload")
