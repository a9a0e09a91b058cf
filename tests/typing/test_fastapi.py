# pyright: strict, reportUnusedFunction=false
"""What type checkers infer for what a FastAPI route is given; it is executed as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import httpx
from fastapi import Depends, FastAPI
from typing_extensions import assert_type

from lifecycle import Component, Registry, System
from lifecycle.asgi import system_of
from lifecycle.integrations.fastapi import (
    Attached,
    CurrentSystem,
    Provider,
    attach,
    provide,
    provided_by,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from fastapi.requests import HTTPConnection


class Pool:
    name = "pool"


class BigPool(Pool):
    pass


shop = Registry("shop")


@shop.component
async def database() -> AsyncIterator[BigPool]:
    """A component."""
    yield BigPool()


names = database.map(lambda pool: pool.name, name="names")
api = FastAPI()


@api.get("/default")
async def default(
    pool: BigPool = provide(database),
    wider: Pool = provide(database),
    anything: object = provide(database),
    name: str = provide(names),
) -> str:
    """The value as a default."""
    assert_type(pool, BigPool)
    assert_type(name, str)
    return wider.name


@api.get("/annotated")
async def annotated(
    pool: Annotated[BigPool, provide(database)], system: CurrentSystem, limit: int
) -> str:
    """The value in the annotation."""
    assert_type(pool, BigPool)
    assert_type(system, System)
    assert_type(limit, int)
    return pool.name


def test_provide() -> None:
    """The type of the component's value, or a wider one."""
    assert_type(provide(database), BigPool)
    assert_type(provide(names), str)
    assert_type(Provider(database), Provider[BigPool])
    resolve: Callable[[HTTPConnection], Awaitable[BigPool]] = Provider(database)
    assert_type(provided_by(api), tuple[Component[Any], ...])
    assert provided_by(api) == (database, names)
    FastAPI(dependencies=[Depends(Provider(database))])
    api.dependency_overrides[Provider(database)] = BigPool
    assert callable(resolve)


async def attached(system: System, connection: HTTPConnection) -> None:
    """Attached to a system an app stays the type that it is."""
    assert_type(attach(api, system), Attached[FastAPI])
    with attach(api, system) as app:
        assert_type(app, FastAPI)
    httpx.ASGITransport(app=attach(api, system))
    assert_type(system_of(connection.scope), System)
