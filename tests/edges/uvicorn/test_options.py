"""What a server can be told, and what it refuses to be told."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import anyio
import pytest

import lifecycle
from lifecycle import Registry
from lifecycle.integrations import uvicorn


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Do nothing."""


def test_options_are_those_of_uvicorn() -> None:
    """A wrong one is found at once."""
    uvicorn.server(app, root_path="/shop", access_log=False)
    with pytest.raises(TypeError, match="unknown_option"):
        uvicorn.server(app, unknown_option=1)


@pytest.mark.parametrize("name", ["reload", "workers", "uds", "fd", "loop", "factory"])
def test_options_that_cannot_work_are_refused(name: str) -> None:
    """Each says why, and what to do instead."""
    options: dict[str, Any] = {name: 1}
    with pytest.raises(TypeError, match=f"uvicorn's '{name}' cannot be used inside a system: .+"):
        uvicorn.server(app, **options)


def test_an_app_is_no_import_string() -> None:
    """Nothing is imported behind the back of type checkers."""
    with pytest.raises(TypeError, match="takes an ASGI app, not 'app:app'"):
        uvicorn.server("app:app")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_trio_is_refused() -> None:
    """With the reason, and not by an AttributeError somewhere in uvicorn."""
    shop = Registry("shop")
    shop.add(uvicorn.server(app, port=0), name="web")

    async def main() -> None:
        async with lifecycle.running(shop):
            pass

    with pytest.raises(lifecycle.errors.StartError, match="uvicorn runs on asyncio and uvloop"):
        anyio.run(main, backend="trio")


def test_without_uvicorn_it_says_what_to_install() -> None:
    """Whoever imports the module needs the extra."""
    program = "import sys; sys.modules['uvicorn'] = None; import lifecycle.integrations.uvicorn"

    ran = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )

    assert ran.stderr.splitlines()[-1] == (
        "ImportError: uvicorn is not installed: pip install 'anyio-lifecycle[uvicorn]'"
    )
