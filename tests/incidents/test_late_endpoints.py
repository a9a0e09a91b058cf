"""A rolling update gave 502s: the endpoint was removed later than SIGTERM arrived.

nginx and php-fpm drop everything on TERM, and drain on QUIT; php-fpm only where it has a
`process_control_timeout`, too.
"""

from __future__ import annotations

import os

import pytest

from tests.incidents import rolling

RESTARTS = int(os.environ.get("LIFECYCLE_RESTARTS", "3"))
"""How many restarts there are; `nox -s restarts` says more."""


@pytest.fixture(autouse=True)
def _is_installed() -> None:
    reason = rolling.why_not()
    if reason is not None and not os.environ.get("CI"):
        pytest.skip(reason)
    assert reason is None, reason


def test_no_request_fails() -> None:
    """Not one, over all restarts, with QUIT, a delay, and the right order; beside it: by default.

    The load is the same, and each restart is a real SIGTERM to the program that has started them.
    """
    as_they_are = rolling.roll(__file__, "asyncio", rolling.AS_THEY_ARE, RESTARTS)
    ours = rolling.roll(__file__, "asyncio", rolling.OURS, RESTARTS)

    print(f"\n{rolling.HEAD}\n{as_they_are}\n{ours}", flush=True)  # noqa: T201  the report
    assert ours.failed == {}
    assert ours.restarts == as_they_are.restarts == RESTARTS
    assert as_they_are.failures > 0


def test_no_request_fails_on_trio() -> None:
    """Likewise."""
    assert rolling.roll(__file__, "trio", rolling.OURS, 1).failed == {}


@pytest.mark.skipif(RESTARTS <= 3, reason="it is for `nox -s restarts`")
def test_what_each_measure_is_worth() -> None:
    """What fails where one of them is missing: shown, and not asked for."""
    print(f"\n{rolling.HEAD}\n{rolling.OURS.name} …")  # noqa: T201  likewise
    for variant in rolling.LESS:
        print(rolling.roll(__file__, "asyncio", variant, max(1, RESTARTS // 5)), flush=True)  # noqa: T201
