"""Running tests of pytest's in virtual time: those that take the fixture `virtual_time`.

anyio's plugin takes what event loop it makes from the fixture `anyio_backend`, pytest-asyncio from
a hook of its own. Both are told here, for the time of one test.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import TYPE_CHECKING, Any, cast

import attrs
import pytest

from lifecycle.instruments import instrumented
from lifecycle.testing._backends import VirtualLoops, backend
from lifecycle.testing._clock import current
from lifecycle.testing._running import guard
from lifecycle.testing._timeline import Timeline
from lifecycle.testing._workers import HoldTime

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from lifecycle.testing._backends import Backend

_BACKEND = "anyio_backend"
_PARAMS = pytest.StashKey[dict[int, "_Param"]]()


class Loops:
    """A plugin that gives pytest-asyncio one kind of loop, and that is virtual."""

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_asyncio_loop_factories(self) -> Mapping[str, Callable[[], Any]]:
        """Give it."""
        return {"virtual": _new_loop}


@contextlib.contextmanager
def virtual(item: pytest.Function) -> Generator[None]:
    """Let a test run in virtual time, and its fixtures."""
    callspec = getattr(item, "callspec", None)
    params: dict[str, Any] = {} if callspec is None else callspec.params
    given = dict(params)
    if _BACKEND in params:
        params[_BACKEND] = _virtual_param(item.config, params[_BACKEND])
    name = item.config.pluginmanager.register(_Virtual(item))
    try:
        with instrumented(HoldTime()):
            yield
    finally:
        item.config.pluginmanager.unregister(name=name)
        params.update(given)


class _Virtual:
    """A plugin, for the time of one test."""

    def __init__(self, item: pytest.Function) -> None:
        self._item = item

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        """Let `anyio_backend` give what is virtual, where it is this test's own."""
        is_own = fixturedef.scope == "function" or hasattr(request, "param")
        if fixturedef.argname != _BACKEND or not is_own:
            return (yield)
        param = getattr(request, "param", None)
        if isinstance(param, _Param):
            request.param = param.given
        value = _virtual((yield))
        assert fixturedef.cached_result is not None  # noqa: S101  pytest has set it up
        key = param if isinstance(param, _Param) else fixturedef.cached_result[1]
        fixturedef.cached_result = (value, key, None)
        return value

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Function) -> Generator[None, Any, Any]:
        """Let what stalls be an error of the test."""
        test = item.obj
        if item is not self._item or not inspect.iscoroutinefunction(test):
            return (yield)
        if _BACKEND in item.funcargs:  # where it is not this test's own
            item.funcargs[_BACKEND] = _virtual(item.funcargs[_BACKEND])

        @functools.wraps(test)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            _check_that_time_is_virtual()
            return await guard(functools.partial(test, *args, **kwargs))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(item, "obj", guarded)
            return (yield)


_new_loop = VirtualLoops(None, 20.0, eager_tasks=False)


@attrs.frozen(eq=False)
class _Param:
    """A parameter of `anyio_backend`, for tests in virtual time.

    pytest sets up a fixture anew where its parameter is another, and so `anyio_backend` of a
    module, and all that depends on it, for tests in virtual time and for those in real time. The
    fixture itself sees the parameter that it was given: it may compute with it.
    """

    given: object


def _virtual_param(config: pytest.Config, param: Any) -> Any:
    """Make the parameter for tests in virtual time of that for others: the same one each time."""
    if _is_virtual(param):
        return param  # all tests that have it are in virtual time, and may have it in common
    known = config.stash.setdefault(_PARAMS, {})
    return known.setdefault(id(param), _Param(param))  # which is kept, and with it its id


def _is_virtual(param: Any) -> bool:
    """Whether this is what `backend` gives."""
    try:
        _, options = param
        makes, clock = options.get("loop_factory"), options.get("clock")
    except (TypeError, ValueError, AttributeError):
        return False
    timeline = getattr(clock, "timeline", None)
    return isinstance(makes, VirtualLoops) or isinstance(timeline, Timeline)


def _virtual(value: Any) -> tuple[str, dict[str, Any]]:
    """Make a backend virtual, unless it is."""
    name, options = (value, dict[str, Any]()) if isinstance(value, str) else value
    if options.get("use_uvloop"):
        name = "uvloop"
    makes = options.get("loop_factory", options.get("clock"))
    if makes is None:
        _, virtual_options = backend(cast("Backend", name))
        options = {**options, **virtual_options}
    if name == "trio":
        options["clock"].is_hosted = True
    return name, options


def _check_that_time_is_virtual() -> None:
    try:
        current()
    except LookupError:
        pytest.fail(
            "the event loop of this test was made before `virtual_time` was asked for, and so its "
            "time is real. With anyio's plugin: an async fixture of a wider scope made it; let "
            "`anyio_backend` return lifecycle.testing.backend('asyncio') for it, too. With "
            "pytest-asyncio: use version 1.4 or later.",
            pytrace=False,
        )
