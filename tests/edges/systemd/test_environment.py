"""The variables that systemd sets."""

from __future__ import annotations

import os

import pytest

from lifecycle.integrations.systemd._environment import Environment, taken

ME = str(os.getpid())


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({}, Environment(None, None), id="not from systemd"),
        pytest.param({"NOTIFY_SOCKET": ""}, Environment(None, None), id="empty"),
        pytest.param({"NOTIFY_SOCKET": "@n"}, Environment("@n", None), id="no watchdog"),
        pytest.param(
            {"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": ME},
            Environment("@n", 3.0),
            id="a watchdog",
        ),
        pytest.param({"WATCHDOG_USEC": "1500000"}, Environment(None, 1.5), id="anybody's"),
        pytest.param(
            {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"},
            Environment(None, None),
            id="somebody else's",
        ),
    ],
)
def test_what_they_say(environ: dict[str, str], expected: Environment) -> None:
    """An address, and the time of a watchdog where that is meant for this process."""
    assert expected == Environment.read(environ)


@pytest.mark.parametrize("value", ["soon", "-1", "0", "3_000_000", "٣"])
def test_a_watchdog_without_a_time(value: str, caplog: pytest.LogCaptureFixture) -> None:
    """Nonsense is no watchdog, and is said."""
    assert Environment.read({"WATCHDOG_USEC": value}).watchdog is None
    assert [f"WATCHDOG_USEC is {value!r}, which is no number of microseconds"] == [
        message.partition(":")[0] for message in caplog.messages
    ]


def test_they_are_taken_away_meanwhile() -> None:
    """Processes that are started meanwhile do not inherit them; afterwards all is as before."""
    before = {"NOTIFY_SOCKET": "@n", "WATCHDOG_PID": ME, "WATCHDOG_USEC": "1000000", "HOME": "/"}
    environ = dict(before)

    with taken(environ) as environment:
        assert {"HOME": "/"} == environ
        assert Environment("@n", 1.0) == environment
    assert before == environ


def test_what_was_set_meanwhile_stays() -> None:
    """A variable that somebody has set while it was away is his."""
    environ = {"NOTIFY_SOCKET": "@n"}

    with taken(environ):
        environ["NOTIFY_SOCKET"] = "@other"
    assert {"NOTIFY_SOCKET": "@other"} == environ
