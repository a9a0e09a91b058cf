"""What is passed to be run, and cannot be, is refused by name before anything runs."""

from __future__ import annotations

import contextlib
import copy
import functools
from typing import TYPE_CHECKING, Any

import anyio
import fastapi
import pytest

import lifecycle
from lifecycle import errors, testing
from lifecycle.apart import apart
from lifecycle.asgi import InFlight
from lifecycle.integrations import granian, grpc, guest, hypercorn, process, uvicorn
from lifecycle.integrations.fastapi import lifespan
from lifecycle.nested import nested
from lifecycle.probes import ProbeServer, status_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

SHOP = lifecycle.Registry("shop")


@SHOP.main
async def ends() -> None:
    """End, so that a mistake that is not refused is no run without an end."""


async def is_async(event: object) -> None:
    """Would never run, as an observer."""


def yields(event: object) -> Iterator[None]:
    """Likewise."""
    yield


ASYNC: Any = functools.partial(is_async)
YIELDS: Any = yields

TAKERS: dict[str, Callable[..., Any]] = {
    "running()": lifecycle.running,
    "run()": lifecycle.run,
    "nested()": nested,
}


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (["shop"], {}, "takes a Registry, or a plan of one, not 'shop'"),
        ([lifecycle], {}, "takes a Registry, or a plan of one, not <module 'lifecycle'"),
        ([SHOP, {}], {}, "takes Settings(…), not {}"),
        ([SHOP], {"companions": 5}, "takes companions in a list, not 5"),
        ([SHOP], {"observers": 5}, "takes observers in a list, not 5"),
        ([SHOP], {"companions": [3]}, "takes companions that can be called, and 3 cannot"),
        ([SHOP], {"observers": ["log"]}, "takes observers that can be called, and 'log' cannot"),
        ([SHOP], {"observers": [ASYNC]}, "takes observers that are called and not awaited, and "),
        ([SHOP], {"observers": [YIELDS]}, "takes observers that are called and not awaited, and "),
    ],
)
def test_running_something_else(
    taker: str, arguments: list[object], options: dict[str, object], said: str
) -> None:
    """Who took it, what it takes, and what it was given."""
    with pytest.raises(TypeError) as caught:
        TAKERS[taker](*arguments, **options)
    assert str(caught.value).startswith(f"{taker} {said}")


GIVEN: Any = 5
APP: Any = fastapi.FastAPI()
SOCKETS = "server() takes sockets that are bound, as in `sockets=[…]`, not "


@pytest.mark.parametrize(
    ("pass_it", "said"),
    [
        (lambda: lifespan(GIVEN), "lifespan() takes a Registry, not 5"),
        (lambda: lifespan(SHOP, GIVEN), "lifespan() takes Settings(…), not 5"),
        (lambda: lifespan(SHOP, companions=GIVEN), "lifespan() takes companions in a list, not 5"),
        (lambda: guest.wrap(APP, GIVEN), "wrap() takes a Registry, not 5"),
        (lambda: guest.wrap(APP, SHOP, observers=GIVEN), "wrap() takes observers in a list, not 5"),
        (lambda: uvicorn.server(APP, sockets=GIVEN), f"{SOCKETS}5"),
        (lambda: hypercorn.server(APP, sockets=[GIVEN]), f"{SOCKETS}[5]"),
        (lambda: granian.server(APP, sockets=(GIVEN,)), f"{SOCKETS}(5,)"),
        (lambda: InFlight(APP, GIVEN), "InFlight() takes a System or a Lifetime, not 5"),
        (lambda: status_app(GIVEN), "status_app() takes a System, not 5"),
        (lambda: testing.verify(GIVEN), "verify() takes a Registry, not 5"),
        (lambda: testing.verify(SHOP, None, GIVEN), "verify() takes Settings(…), not 5"),
        (lambda: testing.live(SHOP, None, GIVEN), "a life under test takes Settings(…), not 5"),
    ],
)
def test_passing_something_else_to_what_is_around(pass_it: Callable[[], Any], said: str) -> None:
    """It is refused where it is passed, by who takes it, and not when a server begins."""
    with pytest.raises(TypeError) as caught:
        pass_it()
    assert said == str(caught.value)


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: grpc.server(print, address=GIVEN), "address is 5, but must be "),
        (lambda: grpc.health_server(GIVEN), "address is 5, but must be an address, "),
        (lambda: ProbeServer(unavailable_code=99), "unavailable_code is 99, but must be "),
        (lambda: process.process(["x"], env=GIVEN), "process: env maps names to texts, 5 does not"),
        (
            lambda: process.process(["x"], success=GIVEN),
            "process: success is 5, but must be exit codes, as in (0, 143)",
        ),
    ],
)
def test_declaring_something_impossible(declare: Callable[[], Any], said: str) -> None:
    """What cannot be used is named as whoever has written it has named it."""
    with pytest.raises(errors.DefinitionError) as caught:
        declare()
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("which", ["companions", "observers"])
def test_an_iterator_will_do(which: str) -> None:
    """It is looked at before anything runs, and not used up by that."""
    seen: list[object] = []

    @contextlib.asynccontextmanager
    async def one(system: lifecycle.System) -> AsyncIterator[None]:
        seen.append(system)
        yield

    async def main() -> None:
        given: Any = {which: iter([one if which == "companions" else seen.append])}
        async with lifecycle.running(SHOP, **given):
            pass

    anyio.run(main)
    assert seen


@pytest.mark.parametrize("given", ["log", ASYNC, YIELDS], ids=["text", "async", "generator"])
def test_observing_with_something_else(given: Any) -> None:
    """A system refuses it, as `running` does, and goes on."""

    async def main() -> None:
        async with lifecycle.running(SHOP) as system:
            with pytest.raises(TypeError) as caught:
                system.observe(given)
            assert str(caught.value).startswith("observe() takes observers that ")
            assert repr(given) in str(caught.value)

    anyio.run(main)


def test_running_something_else_apart() -> None:
    """It runs what `running` does."""
    given: Any = "shop"
    with pytest.raises(TypeError, match=r"running\(\) takes a Registry"):
        apart(given)


def test_planning_with_something_else() -> None:
    """A plan is made with settings."""
    given: Any = {"grace_period": 3}
    with pytest.raises(TypeError) as caught:
        SHOP.plan(given)
    assert "plan() takes Settings(…), not {'grace_period': 3}" == str(caught.value)


@pytest.mark.parametrize("given", [None, 3, lifecycle.Registry], ids=["None", "3", "class"])
def test_a_registry_without_a_name(given: Any) -> None:
    """Its name is what messages call it."""
    with pytest.raises(TypeError, match=r"Registry\(\) takes a text as name, not "):
        lifecycle.Registry(given)


def test_looking_for_components_in_a_system() -> None:
    """It is asked for one at a time; Python alone would ask it for 0, 1, and so on."""

    async def main() -> None:
        async with lifecycle.running(SHOP) as system:
            anything: Any = system
            with pytest.raises(TypeError, match="'System'"):
                _ = ends in anything
            with pytest.raises(TypeError, match="'System'"):
                list(anything)

    anyio.run(main)


def test_iterating_until_the_drain_over_what_cannot_be() -> None:
    """The parameter is named, and not an attribute that it lacks."""
    given: Any = [1, 2]

    async def main() -> None:
        async with lifecycle.running(SHOP) as system:
            with pytest.raises(TypeError) as caught:
                system.until_draining(given)
            assert "until_draining() takes what `async for` iterates over, not [1, 2]" == str(
                caught.value
            )

    anyio.run(main)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copying_a_registry(copied: Callable[[Any], Any]) -> None:
    """Its copy would not know its own handles; a handle is itself, also within a copy."""
    shop = lifecycle.Registry("shop")
    url = shop.value("sqlite://", name="url")

    with pytest.raises(TypeError, match=r"cannot be copied so: .* `without\(\)` gives a copy"):
        copied(shop)
    assert copied(url) is url
    assert shop.override(copied(url).to("")).plan() is not None
