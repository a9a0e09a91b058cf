"""What is answered over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import attrs
import pytest

import lifecycle
from lifecycle import Lifetime, Registry, Settings
from lifecycle.errors import SettingsError, StartError
from lifecycle.probes import ProbeServer
from tests.edges.probes.kit import LONG, PATHS, connected, get, said, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

PHASE = "lifecycle-phase"


def shop_of() -> Registry:
    """Two components, one of which has a check that fails."""
    shop = Registry("shop")
    shop.value("database", name="database")
    cache = shop.component(name="cache", optional=True)(lambda: "cache")

    @cache.check
    async def answers(_: str) -> bool:
        return False

    return shop


# --- what is where -------------------------------------------------------------------------------


@pytest.mark.rule("P2")
@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_has_the_phase_and_the_components(path: str) -> None:
    """In a header, and as JSON; it is for now only, and of the type that it says."""
    async with serving(shop_of()) as (_, server):
        reply = await get(server, path)

    assert (200, "OK") == (reply.code, reply.reason)
    assert "running" == reply.headers[PHASE] == reply.json["phase"]
    assert "no-store" == reply.headers["cache-control"]
    assert "application/json" == reply.headers["content-type"]
    assert str(len(reply.body)) == reply.headers["content-length"]
    assert ["cache", "database"] == sorted(reply.json["components"])
    assert "ready" == reply.json["components"]["database"]["state"]


async def test_the_probes_have_their_usual_names() -> None:
    """Those that Kubernetes itself has, too."""
    async with serving() as (_, server):
        probes = {path: (await get(server, path)).json.get("probe") for path in PATHS}

    assert {
        "/health": "health",
        "/healthz": "health",
        "/livez": "health",
        "/ready": "ready",
        "/readyz": "ready",
        "/startup": "startup",
        "/startupz": "startup",
        "/status": None,
    } == probes


async def test_a_slash_at_the_end_does_not_matter() -> None:
    """Nobody should be out of rotation for it."""
    async with serving() as (_, server):
        assert 200 == (await get(server, "/ready/")).code


async def test_the_status_has_everything() -> None:
    """Also what is in flight, and how much time is left."""
    async with serving(shop_of(), LONG) as (system, server):
        with system.hold("order 17"):
            system.shut_down("deploy")
            reply = await get(server, "/status")
            status = reply.json
        system.signal(2)  # an interrupt ends the delay

    assert (200, "delaying") == (reply.code, reply.headers[PHASE])
    assert ("shop", "delaying", False, "deploy", True) == tuple(
        status[key] for key in ("name", "phase", "ready", "reason", "started")
    )
    assert ["order 17"] == [work["what"] for work in status["in_flight"]]
    assert 0 < status["time_left"] <= 600


@pytest.mark.rule("P2")
async def test_what_is_elsewhere_is_not_found() -> None:
    """The answer says what there is."""
    async with serving() as (_, server):
        reply = await get(server, "/metrics")

    assert (404, "running") == (reply.code, reply.headers[PHASE])
    assert {*PATHS} <= {*reply.json["paths"]}


@pytest.mark.parametrize("path", PATHS)
async def test_head_has_the_headers_of_get(path: str) -> None:
    """Its length included; but no body, so that the connection can go on."""
    async with serving() as (_, server), connected(server) as client:
        head = await client.get(path, method="HEAD")
        full = await client.get(path)

    assert b"" == head.body
    assert (head.code, set(head.headers)) == (full.code, set(full.headers))
    # Durations differ from one answer to the next, and so the length a little.
    assert int(head.headers["content-length"]) > len(full.body) / 2


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get"])
async def test_other_methods_are_not_allowed(method: str) -> None:
    """The answer says which are."""
    async with serving() as (_, server):
        reply = await get(server, "/ready", method=method)

    assert (405, "GET, HEAD", "running") == (
        reply.code,
        reply.headers["allow"],
        reply.headers[PHASE],
    )


# --- of whom -------------------------------------------------------------------------------------


@pytest.mark.rule("P2")
@pytest.mark.parametrize(
    ("query", "code", "components"),
    [
        ("component=database", 200, ["database"]),
        ("component=database&component=cache", ..., ["cache", "database"]),
        ("component=databse", 404, []),
        ("component=database&component=databse", 404, ["database"]),
        ("component=", 404, []),
        ("component", 404, []),
        ("component=d%61tabase", 200, ["database"]),
        ("component=%ff", 404, []),
        ("component=%00", 404, []),
        ("verbose&x=%zz", 200, ["cache", "database"]),
        ("", 200, ["cache", "database"]),
    ],
)
async def test_components_can_be_asked_for(query: str, code: Any, components: list[str]) -> None:
    """One or more, by name; a name that nobody has is never a 200."""
    async with serving(shop_of()) as (_, server), connected(server) as client:
        for path in PATHS:
            reply = await client.get(f"{path}?{query}")
            # By name even an optional component counts, and the check of this one fails.
            expected = (503 if "ready" in path else 200) if code is ... else code
            assert (expected, components) == (reply.code, sorted(reply.json["components"]))


@pytest.mark.rule("P2")
async def test_an_unknown_component_is_named() -> None:
    """A probe with a slip in it is to be found at first sight."""
    async with serving(shop_of()) as (_, server):
        reply = await get(server, "/ready?component=databse&component=caf%C3%A9")

    assert (404, "running") == (reply.code, reply.headers[PHASE])
    assert "no component has that name" == reply.json["error"]
    assert ["databse", "café"] == reply.json["unknown"]


# --- which code ----------------------------------------------------------------------------------


async def codes(**options: Any) -> list[tuple[int, int]]:
    """The codes of /health and /ready, before and during a shutdown."""
    settings = options.pop("settings", LONG)
    found: list[tuple[int, int]] = []
    async with serving(None, settings, **options) as (system, server):
        for _ in range(2):
            found.append(((await get(server, "/health")).code, (await get(server, "/ready")).code))
            system.shut_down("deploy")
        system.signal(2)  # an interrupt ends the delay
    return found


@pytest.mark.rule("P1")
async def test_the_codes_of_a_shutdown() -> None:
    """Healthy, and not ready, unless told otherwise."""
    assert [(200, 200), (200, 503)] == await codes()


@pytest.mark.rule("P1")
async def test_the_code_of_what_is_unavailable_can_be_chosen() -> None:
    """By the settings, or for the server."""
    settings = attrs.evolve(LONG, unavailable_code=429)
    assert [(200, 200), (200, 429)] == await codes(settings=settings)
    assert [(200, 200), (200, 500)] == await codes(settings=settings, unavailable_code=500)


@pytest.mark.rule("P1")
async def test_what_a_shutdown_answers_can_be_chosen() -> None:
    """For each of the two."""
    assert [(200, 200), (503, 200)] == await codes(
        health_while_shutting_down=503, ready_while_shutting_down=200
    )


@pytest.mark.rule("P1")
async def test_before_the_shutdown_the_choice_does_not_count() -> None:
    """A system that is not ready yet, or not any more for a while, is not shutting down."""
    shop = Registry("shop")

    @shop.service
    async def broker(life: Lifetime) -> None:
        life.started()
        life.unavailable("broker lost")
        await life.wait_draining()

    async with serving(shop, ready_while_shutting_down=200) as (_, server):
        assert 503 == (await get(server, "/ready")).code


@pytest.mark.rule("P1")
async def test_what_has_never_started_is_not_ready_while_it_is_rolled_back() -> None:
    """Whatever the code of ``/ready`` in a shutdown: nobody was sent there, and nobody is to be."""
    server = ProbeServer("127.0.0.1:0", ready_while_shutting_down=200)
    shop = Registry("shop")
    seen: list[int] = []

    @shop.component
    async def first() -> AsyncIterator[None]:
        yield
        seen.append((await get(server, "/ready")).code)

    @shop.component(requires=[first])
    async def second() -> None:
        raise ValueError

    with pytest.raises(StartError):
        async with lifecycle.running(shop, companions=[server]):
            pass

    assert [503] == seen


@pytest.mark.parametrize("code", [0, 100, 199, 204, 205, 304, 600, -1, "503", 503.0])
@pytest.mark.parametrize(
    "option", ["unavailable_code", "health_while_shutting_down", "ready_while_shutting_down"]
)
def test_a_code_has_to_be_one(option: str, code: Any) -> None:
    """That of a final response with a body."""
    options: dict[str, Any] = {option: code}
    with pytest.raises(SettingsError, match="an HTTP status code from 200 to 599"):
        ProbeServer(**options)


# --- HTTP ----------------------------------------------------------------------------------------


async def test_a_connection_takes_many_requests() -> None:
    """One after the other, or several at once, answered in their order."""
    async with serving(shop_of()) as (_, server), connected(server) as client:
        for _ in range(3):
            assert 200 == (await client.get("/health")).code
        request = b"GET %s HTTP/1.1\r\nHost: shop\r\n\r\n"
        paths = (b"/health", b"/ready?component=nobody", b"/ready")
        await client.send(b"".join(request % path for path in paths))
        assert [200, 404, 200] == [(await client.reply()).code for _ in paths]


async def test_a_client_can_have_the_connection_closed() -> None:
    """By HTTP/1.1's header, or by being one of HTTP/1.0."""
    async with serving() as (_, server):
        for request in (
            b"GET /ready HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n",
            b"GET /ready HTTP/1.0\r\n\r\n",
        ):
            async with connected(server) as client:
                await client.send(request)
                reply = await client.reply()
                assert (200, "close") == (reply.code, reply.headers["connection"])
                assert b"" == await client.rest()


async def test_a_client_that_has_said_all_gets_its_answer() -> None:
    """Half-closed is not closed."""
    async with serving() as (_, server):
        answer = await said(server, b"GET /health HTTP/1.1\r\nHost: shop\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_proxy_may_name_the_origin() -> None:
    """HTTP/1.1 demands that servers take it."""
    async with serving() as (_, server):
        assert 404 == (await get(server, "http://shop:8081/ready?component=x")).code
        assert 200 == (await get(server, "HTTP://shop/ready")).code
        assert 200 == (await get(server, "http://shop")).code


async def test_another_protocol_is_not_taken() -> None:
    """HTTP/1.1 goes on: curl offers HTTP/2 like that."""
    upgrade = "Connection: Upgrade\r\nUpgrade: h2c\r\n"
    async with serving() as (_, server), connected(server) as client:
        assert 200 == (await client.get("/ready", more=upgrade)).code
        assert 200 == (await client.get("/ready")).code


@pytest.mark.parametrize("target", ["*", "shop:8081", "/%", "/%00", "/\u007f", "/..//ready"])
async def test_odd_targets_are_found_nowhere(target: str) -> None:
    """None of them breaks anything."""
    async with serving() as (_, server), connected(server) as client:
        reply = await client.get(target, method="OPTIONS")
        assert reply.code in {400, 404}


async def test_one_that_is_slow_to_check_keeps_no_other_waiting() -> None:
    """Each connection has a task of its own."""
    shop, go_on = Registry("shop"), anyio.Event()
    database = shop.value("database", name="database")

    @database.check
    async def answers(_: str) -> None:
        await go_on.wait()

    async with (
        serving(shop, Settings(check_timeout=600)) as (_, server),
        connected(server) as client,
    ):
        await client.ask("/ready")
        assert 200 == (await get(server, "/health")).code
        go_on.set()
        assert 200 == (await client.reply()).code
