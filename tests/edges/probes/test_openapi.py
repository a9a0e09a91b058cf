"""The description of what the probe server speaks."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio.from_thread
import pytest

from lifecycle import Registry
from lifecycle.probes.openapi import description
from lifecycle.probes.responses import Codes
from tests.edges.probes.kit import EXAMPLES, LONG, PATHS, get, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KINDS: dict[str, Any] = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}


def schema_of(path: str, code: int, document: dict[str, Any]) -> dict[str, Any]:
    """The schema of an answer."""
    response = document["paths"][path]["get"]["responses"][str(code)]
    name = response["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    schema: dict[str, Any] = document["components"]["schemas"][name]
    return schema


def resolve(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema


def misfits(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> list[Any]:
    """What is there and not described, or the other way round: nothing, if they fit."""
    schema = resolve(schema, document)
    if "anyOf" in schema:
        (other,) = [one for one in schema["anyOf"] if one != {"type": "null"}]
        return [] if value is None else misfits(value, other, document)
    if "enum" in schema:
        return [] if value in schema["enum"] else [value]
    if schema["type"] == "array":
        return [misfit for one in value for misfit in misfits(one, schema["items"], document)]
    if schema["type"] != "object":
        return [] if isinstance(value, KINDS[schema["type"]]) else [value]
    if "additionalProperties" in schema:
        inner = schema["additionalProperties"]
        return [misfit for one in value.values() for misfit in misfits(one, inner, document)]
    wrong: list[Any] = list(value.keys() ^ schema["properties"].keys())
    for name, inner in schema["properties"].items():
        wrong += misfits(value.get(name), inner, document)
    return wrong


@pytest.mark.anyio
@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_is_described(path: str) -> None:
    """Neither more nor less than is in it."""
    shop, document = Registry("shop"), description()
    database = shop.value("database", name="database")
    shop.value("web", name="web")

    @database.check
    async def answers(_: str) -> bool:
        return False

    async with serving(shop, LONG) as (system, server):
        await get(server, "/ready")
        with system.hold("order 17"):
            replies = [await get(server, path)]
            system.shut_down("deploy")
            replies += [await get(server, path), await get(server, f"{path}?component=nobody")]
        system.signal(2)  # an interrupt ends the delay

    for reply in replies:
        assert [] == misfits(reply.json, schema_of(path, reply.code, document), document)


def test_the_codes_are_those_that_were_chosen() -> None:
    """All that are possible, and no others."""
    codes = Codes(unavailable_code=429, ready_while_shutting_down=500)
    paths = description(codes)["paths"]

    found = {path: sorted(paths[path]["get"]["responses"]) for path in ("/health", "/ready")}

    always = ["404", "405", "4XX"]
    assert {
        "/health": sorted(["200", "429", *always]),
        "/ready": sorted(["200", "429", "500", *always]),
    } == found


@pytest.mark.skipif(
    importlib.util.find_spec("schemathesis") is None, reason="nox -s fuzz has schemathesis"
)
@pytest.mark.parametrize("paths", [("--exclude-path", "/drain"), ("--include-path", "/drain")])
def test_schemathesis_finds_nothing(
    port: int, drained_port: int, tmp_path: Path, paths: tuple[str, str]
) -> None:
    """It makes up requests from the description, and holds the answers against it.

    A system that it has asked to drain is no use for the rest: there is one for each.
    """
    port = drained_port if "--include-path" in paths else port
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(description()), encoding="utf-8")
    script = "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())"
    options = ["--url", f"http://127.0.0.1:{port}", "--checks", "all", "--no-color"]
    examples = ["--max-examples", str(max(1, EXAMPLES // 20))]

    ran = subprocess.run(
        [sys.executable, "-c", script, "run", document, *options, *paths, *examples],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert "No issues found" in ran.stdout


@pytest.fixture
def drained_port() -> Iterator[int]:
    """Serve a system that stays as it is for long when it was asked to drain."""
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(None, LONG)) as (_, server),
    ):
        yield server.port
