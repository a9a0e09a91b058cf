"""Services of `Type=notify`, under a real systemd."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.systemd.kit import unit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.systemd.rig import Manager

BACKENDS = ("asyncio", "uvloop", "trio")


@pytest.fixture(scope="session")
def patience() -> int:
    """How long a program has until it speaks, on this machine and with what else it does now."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import lifecycle.integrations.systemd"], check=True)
    return 5 + round(5 * (time.monotonic() - began))


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_starts_and_stops(manager: Manager, tmp_path: Path, backend: str) -> None:
    """`systemctl start` returns when it is ready; what it says of itself is shown; it ends well."""
    with unit(manager, tmp_path, "is_well", backend=backend) as service:
        assert service.start()
        assert "running: 2 components" == service.status
        service.stop()

        assert ("success", "exited", "0") == service.ended()
        assert "inactive" == service.show("ActiveState")


def test_a_start_that_fails(manager: Manager, tmp_path: Path) -> None:
    """`systemctl start` fails at once; the cause stays in the status, by its type."""
    with unit(manager, tmp_path, "start_fails") as service:
        assert not service.start()

        assert ("exit-code", "exited", "69") == service.ended()
        assert "failed" == service.show("ActiveState")
        assert "start failed: database (ConnectionRefusedError)" == service.status


def test_a_start_that_takes_long(manager: Manager, tmp_path: Path, patience: int) -> None:
    """Longer than TimeoutStartSec: systemd waits, since a hook is within its own time."""
    with unit(
        manager, tmp_path, "start_takes_long", patience + 1, TimeoutStartSec=patience
    ) as service:
        assert service.start()
        assert "running: 2 components" == service.status


def test_a_shutdown_that_takes_long(manager: Manager, tmp_path: Path) -> None:
    """Longer than TimeoutStopSec: systemd waits, within the grace period.

    Also where the service ends itself.
    """
    with (
        unit(manager, tmp_path, "drain_takes_long", 8, TimeoutStopSec=6) as asked,
        unit(manager, tmp_path, "ends_itself", 8, TimeoutStopSec=6) as by_itself,
    ):
        assert asked.start()
        asked.terminate()
        by_itself.start()

        assert ("success", "exited", "0") == asked.ended()
        assert ("success", "exited", "0") == by_itself.ended()
        for service in (asked, by_itself):
            service.output.until(
                r"STATUS=draining: 1 in flight, waits for orders \(\d+ s\), \d+ s left"
            )


def test_a_stop_that_hangs(manager: Manager, tmp_path: Path) -> None:
    """It is ended when the grace period is over, although TimeoutStopSec is longer by far.

    By lifecycle, which leaves the line at which it was; or by systemd, soon after, where lifecycle
    was told not to: a loop that is blocked extends nothing. By now systemd's watchdog is off.
    """
    with (
        unit(manager, tmp_path, "stop_blocks", 5, TimeoutStopSec=1000) as ours,
        unit(
            manager, tmp_path, "stop_blocks_for_ever", 9, TimeoutStopSec=6, WatchdogSec=8
        ) as theirs,
    ):
        assert ours.start()
        assert theirs.start()
        ours.terminate()
        theirs.terminate()

        assert ("exit-code", "exited", "75") == ours.ended()
        assert "in database" in ours.output.output
        assert ("timeout", "killed", "KILL") == theirs.ended()
        theirs.output.until("STOPPING=1")
        # By systemd's own clock: what was written may be read late.
        asked = int(theirs.show("ActiveExitTimestampMonotonic"))
        assert int(theirs.show("ExecMainExitTimestampMonotonic")) - asked > 9e6  # no TimeoutStopSec
        for service, grace in ((ours, 8), (theirs, 12)):
            # The last that was said before it hung: it may have been in the instant of the signal.
            stands = r"(?:shutting down|draining|closing)\b"
            found = re.fullmatch(rf"{stands}.*, (\d+) s left", service.status)
            assert found is not None
            assert 0 < int(found[1]) <= grace


def test_a_loop_that_is_blocked(manager: Manager, tmp_path: Path) -> None:
    """Systemd's watchdog ends it, and the log has the line at which it was."""
    with contextlib.ExitStack() as stack:
        services = [
            stack.enter_context(unit(manager, tmp_path, "loop_blocks", 0.5, backend, WatchdogSec=5))
            for backend in BACKENDS
        ]
        assert [True] * 3 == [service.start() for service in services]

        for service in services:
            assert ("watchdog", "killed", "ABRT") == service.ended()
            assert "running: 2 components" == service.status
            assert "Fatal Python error: Aborted" in service.output.output
            assert "in orders" in service.output.output


def test_a_liveness_check_that_fails(manager: Manager, tmp_path: Path) -> None:
    """Systemd's watchdog ends it, and the status says which check it was."""
    with contextlib.ExitStack() as stack:
        services = [
            stack.enter_context(unit(manager, tmp_path, "is_dead", 0, backend, WatchdogSec=6))
            for backend in BACKENDS
        ]
        assert [True] * 3 == [service.start() for service in services]

        for service in services:
            assert ("watchdog", "killed", "ABRT") == service.ended()
            assert "not alive: check alive of orders (returned False)" == service.status


def test_who_is_asked_to_stop(manager: Manager, tmp_path: Path) -> None:
    """With KillMode=mixed the program alone; otherwise its child processes, too, out of turn."""
    with (
        unit(manager, tmp_path, "has_child", 1, "asyncio", KillMode="mixed") as mixed,
        unit(manager, tmp_path, "has_child", 8, "trio", KillMode="control-group") as group,
    ):
        for service in (mixed, group):
            assert service.start()
            service.stop()

        assert "None" == mixed.output.until("^child: (.*)")[1]
        assert "-15" == group.output.until("^child: (.*)")[1]
        assert ("success", "exited", "0") == mixed.ended()
