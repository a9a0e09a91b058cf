# pyright: strict, reportUnusedFunction=false
"""What type checkers infer for every way to declare, without an annotation by the user.

The checkers are run over this file as over all others; here it is also executed, so that what they
believe can at least be declared, and plans.
"""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Sequence,
)
from typing import Any, Protocol, TypeVar

import anyio
from typing_extensions import ParamSpec, Self, assert_type

from lifecycle import (
    Component,
    Lifetime,
    Registry,
    Retry,
    requires,
    requires_all,
    running,
    wants,
)
from lifecycle.gates import Gate

P = ParamSpec("P")
R = TypeVar("R")


class Config:
    dsn = "postgres://"

    @classmethod
    def from_env(cls) -> Self:
        return cls()


class Pool:
    @property
    def idle(self) -> bool:
        return True

    async def dispose(self, *, close: bool = True) -> None:
        """Close it."""


class Consumer:
    async def start(self) -> None:
        """Start."""

    async def stop(self, within: float | None = None) -> None:
        """Stop."""


class Session:
    async def __aenter__(self) -> Connection:
        return Connection()

    async def __aexit__(self, *_: object) -> None:
        """Leave."""


class File:
    def __enter__(self) -> Connection:
        return Connection()

    def __exit__(self, *_: object) -> None:
        """Leave."""


class Both(Session):
    async def start(self) -> None:
        """Start."""


class Connection:
    pass


class PoolLike(Protocol):
    @property
    def idle(self) -> bool: ...


def traced(fn: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function as users' libraries do."""

    @functools.wraps(fn)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        return fn(*args, **kwargs)

    return wrapper


def test_component() -> None:  # noqa: C901  many functions, no branches
    """The handle of a component has the type of what its function gives or yields."""
    shop = Registry("shop")

    @shop.component
    def plain() -> Config:
        return Config()

    @shop.component
    async def coroutine(config: Config = requires(plain)) -> Pool:
        return Pool()

    @shop.component
    async def async_iterator() -> AsyncIterator[Pool]:
        yield Pool()

    @shop.component
    async def async_generator(life: Lifetime) -> AsyncGenerator[Pool, None]:
        yield Pool()

    @shop.component
    def iterator(life: Lifetime, config: Config = requires(plain)) -> Iterator[Pool]:
        yield Pool()

    @shop.component(start_timeout=1, retry=2, thread=False)
    def generator() -> Generator[Pool, None, None]:
        yield Pool()

    @shop.component(name="other", optional=True, enabled=lambda: True, retry=Retry(2))
    async def with_options(life: Lifetime) -> AsyncIterator[Pool]:
        yield Pool()

    @shop.component(requires=[plain, "coroutine"], wants=iterator, after={generator})
    def with_references() -> Config:
        return Config()

    @shop.component
    def context_manager() -> io.StringIO:
        return io.StringIO()

    @shop.component
    @traced
    async def decorated(config: Config = requires(plain)) -> AsyncIterator[Pool]:
        yield Pool()

    assert_type(plain, Component[Config])
    assert_type(coroutine, Component[Pool])
    assert_type(async_iterator, Component[Pool])
    assert_type(async_generator, Component[Pool])
    assert_type(iterator, Component[Pool])
    assert_type(generator, Component[Pool])
    assert_type(with_options, Component[Pool])
    assert_type(with_references, Component[Config])
    assert_type(context_manager, Component[io.StringIO])
    assert_type(decorated, Component[Pool])
    assert_type(shop.component(Config), Component[Config])
    assert_type(shop.component(Config.from_env), Component[Config])
    assert_type(shop.component(lambda: 1, name="one"), Component[int])
    assert_type(shop.component(functools.partial(int, "1"), name="1"), Component[int])
    assert len(shop.plan().components) == 14


def test_build() -> None:  # noqa: C901  many functions, no branches
    """The handle of what is built has its type, or that of what it enters."""
    shop = Registry("shop")

    @shop.build
    def consumer() -> Consumer:
        return Consumer()

    @shop.build(stop_timeout=2)
    async def awaited(life: Lifetime) -> Consumer:
        return Consumer()

    @shop.build
    def session() -> Session:
        return Session()

    @shop.build(name="session 2")
    async def awaited_session() -> Session:
        return Session()

    @shop.build
    def file() -> File:
        return File()

    @shop.build
    async def awaited_file() -> File:
        return File()

    @shop.build
    def both() -> Both:
        return Both()

    @shop.build
    @contextlib.asynccontextmanager
    async def decorated(life: Lifetime) -> AsyncGenerator[Pool, None]:
        yield Pool()

    @shop.build
    @contextlib.contextmanager
    def decorated_sync() -> Generator[Pool, None, None]:
        yield Pool()

    @shop.build(stop=Pool.dispose)
    def pool() -> Pool:
        return Pool()

    @shop.build(start=Pool.dispose, check=lambda pool: pool.idle, name="pool 2")
    async def awaited_pool() -> Pool:
        return Pool()

    @shop.build(drain=print, check=print)
    def drained() -> Session:
        return Session()

    assert_type(consumer, Component[Consumer])
    assert_type(awaited, Component[Consumer])
    assert_type(session, Component[Connection])
    assert_type(awaited_session, Component[Connection])
    assert_type(file, Component[Connection])
    assert_type(awaited_file, Component[Connection])
    assert_type(both, Component[Both])
    assert_type(decorated, Component[Pool])
    assert_type(decorated_sync, Component[Pool])
    assert_type(pool, Component[Pool])
    assert_type(awaited_pool, Component[Pool])
    assert_type(drained, Component[Connection])
    assert_type(shop.build(Consumer), Component[Consumer])
    assert_type(shop.build(Session, optional=True), Component[Connection])
    assert len(shop.plan().components) == 14


def test_add_and_value() -> None:
    """The handle of an object has its type, or that of what it enters; of a value, the value's."""
    shop = Registry("shop")
    pool = Pool()
    assert_type(shop.add(Consumer()), Component[Consumer])
    assert_type(shop.add(Session(), drain=lambda: None, check=lambda: True), Component[Connection])
    assert_type(shop.add(File(), stop_timeout=1), Component[Connection])
    assert_type(shop.add(Both()), Component[Both])
    assert_type(shop.add(pool, stop=pool.dispose, name="pool"), Component[Pool])
    assert_type(shop.add(Session(), start=pool.dispose, name="entered not"), Component[Session])
    assert_type(shop.value(3, name="three"), Component[int])
    assert_type(shop.value(Session(), name="bare", enabled=False), Component[Session])
    assert len(shop.plan().components) == 7


def test_service_and_main() -> None:
    """The handle of a service has the type of the value that its Lifetime takes."""
    shop = Registry("shop")

    @shop.service
    async def plain() -> None:
        """Run."""

    @shop.service(drain_timeout=20, on_return="shut_down")
    async def with_lifetime(life: Lifetime) -> None:
        life.started()

    @shop.service
    async def with_value(life: Lifetime[Pool]) -> str:
        life.started(Pool())
        return "ended"

    @shop.service(optional=True)
    async def with_both(life: Lifetime[Pool], seconds: float = 1) -> None:
        life.started(Pool())

    @shop.main
    async def code(pool: Pool = requires(with_value)) -> int:
        return 3

    @shop.main(start_timeout=1)
    async def nothing(life: Lifetime) -> None:
        """Run."""

    assert_type(plain, Component[None])
    assert_type(with_lifetime, Component[None])
    assert_type(with_value, Component[Pool])
    assert_type(with_both, Component[Pool])
    assert_type(code, Component[None])
    assert_type(nothing, Component[None])
    assert len(shop.plan().components) == 6


def test_marks() -> None:
    """A mark has the type of what fills the parameter."""
    shop = Registry("shop")
    one = shop.value(1, name="one")
    two = shop.value(2, name="two")
    assert_type(requires(one), int)
    assert_type(requires("one"), Any)
    assert_type(requires_all([one, two]), Sequence[int])
    assert_type(wants(one), "int | None")
    assert_type(wants(one, default="none"), "int | str")
    assert_type(wants(one, default=None), "int | None")
    assert_type(wants("one"), Any)

    @shop.component
    def total(
        numbers: Sequence[int] = requires_all([one, two]),
        absent: int | None = wants(one),
        named: str = requires("two"),
        *,
        other: float = wants(two, default=0.5),
    ) -> int:
        return sum(numbers)

    assert_type(total, Component[int])
    assert len(shop.plan().components) == 3


def test_marks_of_wider_types() -> None:
    """A parameter may be of a wider type than what fills it: a protocol, a union, a base."""
    shop = Registry("shop")
    one = shop.value(1, name="one")
    pool = shop.value(Pool(), name="pool")

    NOOP = Pool()  # noqa: N806  a constant, if this were a module

    @shop.component
    def required(
        protocol: PoolLike = requires(pool),
        anything: object = requires(pool),
        union: int | str = requires(one),
        several: Sequence[object] = requires_all([pool, one]),
    ) -> int:
        return 1

    @shop.component
    def wanted(
        protocol: PoolLike | None = wants(pool),
        anything: object = wants(pool),
        union: int | str = wants(one, default="none"),
        fallback: PoolLike = wants(pool, default=NOOP),
    ) -> int:
        return 1

    assert_type(required, Component[int])
    assert_type(wanted, Component[int])
    assert len(shop.plan().components) == 4


def test_derived() -> None:
    """What is made by `map` has the type of what its function returns."""
    shop = Registry("shop")
    one = shop.value(1, name="one")
    assert_type(one.map(str), Component[str])
    assert_type(one.map(lambda number: number + 0.5), Component[float])
    assert_type(one.map(lambda number: [number], name="list"), Component[list[int]])
    assert len(shop.plan().components) == 4


def test_hooks_of_a_handle() -> None:
    """`drain` and `check` take the value, and give back a function; `_` may be reused."""
    shop = Registry("shop")

    @shop.component
    async def pool() -> AsyncIterator[Pool]:
        yield Pool()

    @pool.drain
    async def _(pool: Pool) -> None:
        """Drain."""

    @pool.check
    def _(pool: Pool) -> bool:
        return pool.idle

    @pool.check(liveness=True)
    async def _(pool: Pool) -> object:
        return pool

    pool.check(lambda pool: pool.idle)
    assert len(shop.plan().components[0].hooks.checks) == 3


def test_changed_copies() -> None:
    """What stands in for a component has its type, however it is made."""
    shop = Registry("shop")

    @shop.component
    def pool() -> Pool:
        return Pool()

    class FakePool(Pool):
        pass

    async def coroutine(life: Lifetime) -> FakePool:
        return FakePool()

    async def async_generator() -> AsyncIterator[FakePool]:
        yield FakePool()

    def generator(config: str = requires(shop.value("", name="config"))) -> Iterator[Pool]:
        yield Pool()

    @contextlib.asynccontextmanager
    async def manager() -> AsyncGenerator[FakePool, None]:
        yield FakePool()

    copy = shop.override(pool.to(FakePool()))
    assert_type(copy, Registry)
    for made in (
        pool.made_by(FakePool),
        pool.made_by(coroutine),
        pool.made_by(async_generator),
        pool.made_by(generator),
        pool.made_by(manager),
        pool.made_by(lambda: Pool()),  # noqa: PLW0108  a lambda of its own
    ):
        assert_type(shop.override(made).only(pool).without("x").without_preflight(), Registry)
    assert len(copy.plan().components) == 2


def test_values_of_a_system() -> None:
    """A system gives the values of handles; `get`, where there is none, the default, or None."""

    async def use(shop: Registry, number: Component[int]) -> None:
        async with running(shop) as system:
            assert_type(system[number], int)
            assert_type(await system.ready(number), int)
            assert_type(system.get(number), int | None)
            assert_type(system.get(number, default="none"), int | str)
            assert_type(system.get(number, "none"), int | str)
            assert_type(system.get(number, default=0), int)
            assert_type(system.get(number, default=None), int | None)
            assert_type(system.gate(number), Gate[int])

    shop = Registry("shop")
    anyio.run(use, shop, shop.value(1, name="number"))


def test_preflight() -> None:
    """`preflight` gives back what it was given."""
    shop = Registry("shop")

    @shop.preflight
    async def directory() -> None:
        """Look."""

    @shop.preflight
    def space() -> bool:
        return True

    assert_type(space(), bool)
    assert_type(shop.preflight(functools.partial(print, "x")), functools.partial[None])
    awaitable: Callable[[], Awaitable[None]] = directory
    assert len(shop.plan().checks) == 3
    assert callable(awaitable)


def test_function() -> None:
    """`function` is the bare function, for unit tests."""
    shop = Registry("shop")

    @shop.component
    def config() -> int:
        return 3

    assert_type(config.function, Callable[..., Any])
    assert config.function() == 3
