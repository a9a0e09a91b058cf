"""The page for a person, from within an app that a server of ours serves."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

import lifecycle
from lifecycle import Outcome, Registry
from lifecycle.integrations import uvicorn
from lifecycle.probes import status_app

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Run on what uvicorn runs on."""
    return "asyncio"


async def test_the_page_and_its_stream() -> None:
    """The page asks for what is beside it; an open one does not keep the server from draining."""
    shop, api = Registry("shop"), FastAPI()
    api.mount("/internal", status_app())
    web = shop.add(uvicorn.server(api, port=0), name="web")
    pieces: list[str] = []

    client = httpx.AsyncClient(trust_env=False, timeout=60)
    async with lifecycle.running(shop) as system, client:
        url = f"{system[web].url}/internal"
        page = await client.get(url, follow_redirects=True)
        async with client.stream("GET", page.url.join("events")) as events:
            async for piece in events.aiter_text():
                pieces.append(piece)
                system.shut_down("deploy")
        report = await system.closed()

    assert (page.url.path, page.headers["content-type"]) == (
        "/internal/",
        "text/html; charset=utf-8",
    )
    assert events.headers["content-type"] == "text/event-stream"
    assert pieces
    assert report.outcome is Outcome.CLEAN
