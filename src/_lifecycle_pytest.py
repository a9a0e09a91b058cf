"""The fixture `virtual_time`, for pytest: what is loaded each time that pytest starts.

It lies outside of the package, and imports nothing of it before a test takes the fixture, so that
it costs nobody anything, and whoever measures coverage misses nothing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from lifecycle.testing import FakeClock

_FIXTURE = "virtual_time"


@pytest.fixture
def virtual_time() -> FakeClock:
    """The clock of the virtual time that an async test runs in.

    With anyio's plugin, on all backends that the test runs on, and with pytest-asyncio.
    """
    from lifecycle.testing import FakeClock  # noqa: PLC0415  only who takes it pays for it

    return FakeClock()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Generator[None, Any, Any]:
    """Let pytest-asyncio run a test in virtual time."""
    plugins = metafunc.config.pluginmanager
    if _FIXTURE not in metafunc.fixturenames or not plugins.has_plugin("asyncio"):
        return (yield)
    from lifecycle.testing import _pytest  # noqa: PLC0415  likewise

    # Only now: whoever implements this hook speaks for all tests.
    loops = plugins.register(_pytest.Loops())
    try:
        return (yield)
    finally:
        plugins.unregister(name=loops)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Let a test run in virtual time, and its fixtures."""
    if not isinstance(item, pytest.Function) or _FIXTURE not in item.fixturenames:
        return (yield)
    from lifecycle.testing import _pytest  # noqa: PLC0415  likewise

    with _pytest.virtual(item):
        return (yield)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Show how a transcript and a text differ, line by line."""
    testing = sys.modules.get("lifecycle.testing")
    if testing is None or op != "==":
        return None
    return testing.differences(left, right)  # type: ignore[no-any-return]
