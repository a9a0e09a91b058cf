"""The how-to page, carried out: its program, its units, and what it shows of both."""

from __future__ import annotations

import contextlib
import doctest
import functools
import re
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lifecycle import Settings
from tests.e2e.kit import GENEROUS
from tests.ports import held_port
from tests.systemd.kit import ROOT, Unit, observed, remove, section

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.systemd.rig import Manager

PAGE = (ROOT / "docs" / "how-to" / "systemd.md").read_text(encoding="utf-8")
PORT = "8000"
"""Where the page's shop listens."""


def blocks(language: str) -> list[str]:
    """The blocks of the page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@functools.cache
def units() -> dict[str, str]:
    """The units of the page, by name."""
    found = {}
    for text in blocks("ini"):
        first, _, rest = text.partition("\n")
        found[first.rpartition("/")[2]] = rest
    return found


def settings_of(name: str) -> dict[str, str]:
    """What a unit of the page says of the service."""
    service = units()[name].partition("[Service]\n")[2].partition("\n[")[0]
    return dict(line.split("=", 1) for line in service.splitlines() if line)


@pytest.fixture
def port() -> Iterator[str]:
    """Find a port that is free, and is given to nobody else meanwhile."""
    with held_port() as port:
        yield str(port)


@pytest.fixture
def shop(manager: Manager, tmp_path: Path, port: str) -> Iterator[Unit]:
    """Install the page's units; only paths, the user, and the port are those of this machine."""
    program = tmp_path / "shop.py"
    program.write_text(blocks("python")[0].replace(PORT, port), encoding="utf-8")
    here = {"ExecStart": f"\nExecStart={sys.executable} {program}", "User": ""}
    with observed(manager, "shop.service", tmp_path) as output:
        for name, text in units().items():
            manager.write(name, text.replace(f"={PORT}", f"=127.0.0.1:{port}"))
        manager.write("shop.service.d/here.conf", section("Service", here))
        manager.systemctl("daemon-reload")
        try:
            yield Unit(manager, "shop.service", output)
        finally:
            manager.systemctl("unset-environment", "DATABASE", "LIFECYCLE_DRAIN_DELAY")
            remove(manager, *reversed(units()))


def test_what_the_page_shows(shop: Unit, port: str) -> None:
    """Every command of the page, one after the other, and what it says."""
    shown = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", "".join(blocks("console")), re.MULTILINE)
    assert 10 <= len(shown)

    for command, expected in shown:
        program, *words = command.replace(PORT, port).split()
        if program == "systemctl":
            actual = shop.manager.systemctl(*words).stdout.replace(" --user", "")
        else:
            ran = subprocess.run([program, *words], capture_output=True, text=True, check=True)
            actual = ran.stdout and f"{ran.stdout}\n"
        if expected:
            flags = doctest.ELLIPSIS
            is_so = doctest.OutputChecker().check_output(expected, actual, flags)
            assert is_so, f"$ {command}\nthe page shows\n{expected}\nand it says\n{actual}"


def test_its_numbers_follow_from_each_other() -> None:
    """As the page says that they do."""
    said = settings_of("shop.service")
    environ = dict(word.split("=", 1) for word in said["Environment"].split())
    settings = Settings.from_env(environ=environ)

    assert settings.grace_period + 5 == float(said["TimeoutStopSec"])
    assert 2 * settings.check_timeout < float(said["WatchdogSec"])
    assert ("mixed", "78") == (said["KillMode"], said["RestartPreventExitStatus"])


@pytest.mark.parametrize(
    ("variable", "code", "state"),
    [("DATABASE=down", "69", "activating"), ("LIFECYCLE_DRAIN_DELAY=soon", "78", "failed")],
)
def test_what_is_tried_again(shop: Unit, variable: str, code: str, state: str) -> None:
    """A start that fails is; settings that are wrong stay so, and are not."""
    shop.manager.systemctl("set-environment", variable)
    assert not shop.start()

    assert [code, state] == [shop.show("ExecMainStatus"), shop.show("ActiveState")]


def test_a_restart_refuses_nobody(shop: Unit, port: str) -> None:
    """Who connects while the service is down waits, and is served by the next process."""
    shop.manager.systemctl("start", "shop.socket", "shop.service")
    first = shop.show("MainPID")
    shop.manager.systemctl("stop", "shop.service")
    assert "0" == shop.show("MainPID")

    with contextlib.closing(socket.create_connection(("127.0.0.1", int(port)))) as client:
        client.settimeout(GENEROUS)
        client.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(4096), b""))

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert shop.show("MainPID") not in ("0", first)
