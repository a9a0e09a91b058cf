"""What the servers can be told, and what they refuse to be told."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from fastapi import FastAPI

from lifecycle import Registry
from lifecycle.errors import SettingsError, StartError
from lifecycle.integrations.fastapi import provide
from lifecycle.testing.servers._stage import connected
from tests.edges.servers.kit import ON_EACH, SERVERS, hello, run, server, shop_of

if TYPE_CHECKING:
    from lifecycle import System

OPTIONS: dict[str, dict[str, Any]] = {
    "uvicorn": {"root_path": "/shop", "access_log": False},
    "granian": {"url_path_prefix": "/shop", "websockets": False},
    "hypercorn": {"root_path": "/shop", "keep_alive_timeout": 1},
}
REFUSED = [
    *(("uvicorn", name) for name in ("reload", "workers", "uds", "fd", "loop", "factory")),
    *(("granian", name) for name in ("uds", "interface", "factory", "address", "log_level")),
    *(("hypercorn", name) for name in ("bind", "quic_bind", "workers", "graceful_timeout")),
]
LOGGERS = {
    "uvicorn": ("uvicorn", "uvicorn.error", "uvicorn.access"),
    "granian": ("_granian", "granian.access"),
    "hypercorn": ("hypercorn.error", "hypercorn.access"),
}


@pytest.mark.parametrize("name", SERVERS)
def test_options_are_those_of_the_server(name: str) -> None:
    """A wrong one is found at once."""
    server(name, hello, **OPTIONS[name])
    with pytest.raises(TypeError, match="unknown_option"):
        server(name, hello, unknown_option=1)


@pytest.mark.parametrize(("name", "option"), REFUSED)
def test_options_that_cannot_work_are_refused(name: str, option: str) -> None:
    """Each says why, and what to do instead."""
    with pytest.raises(TypeError, match=f"{name}'s '{option}' cannot be used inside a system: .+"):
        server(name, hello, **{option: 1})


@pytest.mark.parametrize("name", SERVERS)
def test_an_app_is_no_import_string(name: str) -> None:
    """Nothing is imported behind the back of type checkers."""
    with pytest.raises(TypeError, match="takes an ASGI app, not 'app:app'"):
        server(name, "app:app")


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("host", 5),
        ("host", b"shop"),
        ("port", "8000"),
        ("port", -1),
        ("port", 65536),
        ("port", True),
        ("lifespan", "always"),
        ("lifespan", None),
    ],
)
def test_where_it_listens_and_its_lifespan_are_checked_when_declared(
    name: str, option: str, value: Any
) -> None:
    """And not when it starts."""
    make: Any = SERVERS[name][0]
    with pytest.raises(SettingsError, match=re.escape(f"{option} is {value!r}, but must be ")):
        make(hello, **{option: value})


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize(
    ("host", "url"), [("shop.example", "http://shop.example:80"), ("::", "http://[::1]:80")]
)
def test_its_url_before_it_has_started(name: str, host: str, url: str) -> None:
    """That of which it was told."""
    make: Any = SERVERS[name][0]
    assert make(hello, host=host, port=80).url == url


@pytest.mark.parametrize(("name", "backend"), ON_EACH)
def test_it_listens_on_every_interface(name: str, backend: str) -> None:
    """At one port, of IPv6 as well where there is IPv6."""
    served: list[bool] = []

    async def body(system: System) -> None:
        assert {port for _, port in web.addresses} == {web.port}
        for host, port in web.addresses:
            local = "::1" if ":" in host else "127.0.0.1"
            async with await anyio.connect_tcp(local, port) as stream:
                await stream.send(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n")
                served.append((await stream.receive()).startswith(b"HTTP/1.1 200"))

    shop, web = shop_of(name, hello, host="")

    assert run(backend, shop, body).exit_code == 0
    assert served == [True for _ in web.addresses]
    assert web.url == f"http://127.0.0.1:{web.port}"


@pytest.mark.parametrize("name", ["uvicorn", "granian"])
def test_trio_is_refused(name: str) -> None:
    """With the reason, and not by an AttributeError somewhere inside."""
    shop, _ = shop_of(name, hello)

    [error] = run("trio", shop).errors

    assert isinstance(error, StartError)
    assert f"{name} runs on asyncio and uvloop, and not on trio" in str(error)


@pytest.mark.parametrize("name", SERVERS)
def test_without_the_server_it_says_what_to_install(name: str) -> None:
    """Whoever imports the module needs the extra."""
    program = f"import sys; sys.modules['{name}'] = None; import lifecycle.integrations.{name}"

    ran = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )

    assert ran.stderr.splitlines()[-1] == (
        f"ImportError: {name} is not installed: pip install 'anyio-lifecycle[{name}]'"
    )


@pytest.mark.parametrize(("name", "backend"), ON_EACH)
def test_logging_is_not_touched(name: str, backend: str) -> None:
    """It belongs to whoever runs the program; also where there is something to log."""

    def state() -> list[Any]:
        loggers = [logging.getLogger(one) for one in ("", *LOGGERS[name])]
        return [(one.level, [*one.handlers], one.propagate) for one in loggers]

    async def fails(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        raise ValueError("a bug")

    async def body(system: System) -> None:
        async with connected(web) as client:
            await client.ask("/")  # an error is logged
            await client.until(b" 500 ")
        assert before == state()

    before = state()
    shop, web = shop_of(name, fails)

    run(backend, shop, body)

    assert before == state()


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("mode", ["auto", "off"])
def test_apps_without_a_lifespan_are_served(name: str, mode: str) -> None:
    """Where it is not asked for, and where it is off."""
    shop, _ = shop_of(name, hello, lifespan=mode)

    assert run("asyncio", shop).exit_code == 0


@pytest.mark.parametrize("name", SERVERS)
def test_a_lifespan_can_be_asked_for(name: str) -> None:
    """Then an app without one does not start."""
    shop, _ = shop_of(name, hello, lifespan="on")

    [error] = run("asyncio", shop).errors

    assert "the app has no lifespan, and `lifespan='on'` asks for one" in str(error)


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_requires_what_its_routes_are_provided_with(name: str) -> None:
    """Nobody has to say it."""
    shop = Registry("shop")

    @shop.component
    async def database() -> str:
        return "the database"

    api = FastAPI()

    @api.get("/")
    def home(found: str = provide(database)) -> str:
        return found

    shop.add(server(name, api), name="web")

    plan = shop.plan()
    web = next(node for node in plan.components if node.name == "web")
    assert [plan.components[index].name for index in web.dependencies] == ["database"]
