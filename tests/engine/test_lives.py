"""Every way to declare a component, and the one task in which it lives."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Component, Lifetime, Registry, Retry, System, events, requires, wants
from lifecycle.errors import InvalidComponentError, StartError, StartTimeoutError, StopError
from tests.engine.kit import Life, Noted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator


async def task_id() -> int:
    """Name the task that runs."""
    return anyio.get_current_task().id


# --- functions -----------------------------------------------------------------------------------


class Factory:
    """Callables that are no plain functions."""

    def __init__(self, value: str = "made") -> None:
        self.value = value

    def method(self) -> str:
        return self.value

    async def coroutine(self) -> str:
        return self.value

    async def generator(self) -> AsyncIterator[str]:
        yield self.value

    def __call__(self) -> str:
        return self.value


def decorated(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function in an ordinary decorator."""

    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    return wrapper


def bare_decorated(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function in a decorator that hides what it is."""

    def wrapper() -> Any:
        return fn()

    return wrapper


async def coroutine(value: str = "made") -> str:
    """Give a value, async."""
    return value


async def generator(value: str = "made") -> AsyncIterator[str]:
    """Give a value that is stopped, async."""
    yield value


def sync(value: str = "made") -> str:
    """Give a value."""
    return value


def sync_generator(value: str = "made") -> Iterator[str]:
    """Give a value that is stopped."""
    yield value


@pytest.mark.uvloop
@pytest.mark.parametrize("thread", [True, False])
@pytest.mark.parametrize(
    "fn",
    [
        coroutine,
        generator,
        sync,
        sync_generator,
        functools.partial(coroutine, "made"),
        functools.partial(generator, value="made"),
        functools.partial(sync_generator, "made"),
        Factory().method,
        Factory().coroutine,
        Factory().generator,
        Factory(),
        decorated(coroutine),
        decorated(generator),
        decorated(sync_generator),
        bare_decorated(coroutine),
        bare_decorated(generator),
        bare_decorated(sync_generator),
        lambda: "made",
        lambda: coroutine(),  # noqa: PLW0108  what it gives is seen only when it is called
        lambda: generator(),  # noqa: PLW0108
    ],
    ids=range(20),
)
def test_a_component_is_any_callable(life: Life, fn: Any, *, thread: bool) -> None:
    """What it is, is decided by the result of the call."""
    shop = Registry("shop")
    thing = shop.component(fn, name="thing", thread=thread)

    async def body(system: System) -> Any:
        return system[thing]

    lived = life.live(shop, body)
    assert lived.error is None
    assert "made" == lived.result


@pytest.mark.uvloop
def test_a_class_may_be_a_component(life: Life) -> None:
    """Its instance is the value; it has no hooks looked for."""
    shop = Registry("shop")
    factory = shop.component(Factory)

    async def body(system: System) -> Any:
        return type(system[factory]), factory.name

    assert (Factory, "Factory") == life.live(shop, body).result


@pytest.mark.uvloop
def test_an_async_iterator_that_is_no_generator_is_a_value(life: Life) -> None:
    """So is a plain iterator: only generators are lives."""
    shop = Registry("shop")

    @shop.component
    def numbers() -> Any:
        return iter([1, 2])

    async def body(system: System) -> Any:
        return list(system[numbers])

    assert [1, 2] == life.live(shop, body).result


@pytest.mark.rule("K1")
@pytest.mark.uvloop
def test_all_hooks_run_in_one_task(life: Life) -> None:
    """Start, drain and stop of a generator, with the same task below them."""
    shop = Registry("shop")
    tasks: list[int] = []

    @shop.component
    async def thing() -> AsyncIterator[int]:
        tasks.append(await task_id())
        yield 1
        tasks.append(await task_id())

    @thing.drain
    async def _(value: int) -> None:
        tasks.append(await task_id())

    class Thing:
        async def start(self) -> None:
            tasks.append(await task_id())

        async def drain(self) -> None:
            tasks.append(await task_id())

        async def stop(self) -> None:
            tasks.append(await task_id())

    shop.add(Thing(), name="other", after=thing)
    life.live(shop)
    assert 6 == len(tasks)
    assert 2 == len(set(tasks))


@pytest.mark.rule("K1")
def test_a_cancel_scope_may_span_the_yield(life: Life) -> None:
    """Scopes of the generator's own are left in order, and its timeouts work."""
    shop = Registry("shop")

    @shop.component
    async def thing() -> AsyncIterator[int]:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
                with anyio.move_on_after(20):
                    yield 1
                    scope.cancel()
        life.note("left")

    async def body(system: System) -> None:
        await anyio.sleep(3)

    lived = life.live(shop, body)
    assert ["3 left"] == life.log
    assert lived.error is None


@pytest.mark.rule("K1")
def test_a_drain_that_is_cut_off_leaves_the_stop_its_time(life: Life) -> None:
    """The cancellation of the drain does not reach the generator."""
    shop = Registry("shop")

    @shop.component(drain_timeout=2, stop_timeout=5)
    async def thing() -> AsyncIterator[int]:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            yield 1
            await anyio.sleep(4)
            life.note("stopped")
            group.cancel_scope.cancel()

    @thing.drain
    async def _(value: int) -> None:
        await anyio.sleep_forever()

    lived = life.live(shop)
    assert ["6 stopped"] == life.log
    assert 1 == len(lived.errors)
    assert "DrainTimeoutError" in lived.errors[0]


@pytest.mark.rule("K1")
def test_a_start_that_times_out_between_its_scopes(life: Life) -> None:
    """An interrupted start cleans up after itself, in reverse."""
    shop = Registry("shop")

    @contextlib.asynccontextmanager
    async def resource(name: str) -> AsyncIterator[None]:
        life.note(f"open {name}")
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(1)
            life.note(f"close {name}")

    @shop.component(start_timeout=2)
    async def thing() -> AsyncIterator[int]:
        async with resource("a"), anyio.create_task_group() as group, resource("b"):
            group.start_soon(anyio.sleep_forever)
            await anyio.sleep(10)
            yield 1

    lived = life.live(shop)
    assert ["0 open a", "0 open b", "3 close b", "4 close a"] == life.log
    assert isinstance(lived.error, StartTimeoutError)


@pytest.mark.rule("K1")
def test_a_stop_that_times_out_is_cancelled_once(life: Life) -> None:
    """Its own cleanup runs, with the time that is left to unwind."""
    shop = Registry("shop")

    @shop.component(stop_timeout=2)
    async def thing() -> AsyncIterator[int]:
        try:
            yield 1
            await anyio.sleep(10)
        finally:
            life.note("cancelled")
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.2)
            life.note("unwound")

    lived = life.live(shop)
    assert ["2 cancelled", "2.2 unwound"] == life.log
    assert ["StopError"] == [error.split(":")[0] for error in lived.errors]


@pytest.mark.uvloop
@pytest.mark.parametrize("decorated_by", ["plan", "start"])
def test_a_context_manager_function_under_component(life: Life, decorated_by: str) -> None:
    """The decorator is one too many: it is refused, by the plan where it can be seen."""
    shop = Registry("shop")
    manager = contextlib.asynccontextmanager(generator)
    if decorated_by == "plan":
        shop.component(manager, name="thing")
        with pytest.raises(InvalidComponentError, match="asynccontextmanager"):
            shop.plan()
    else:
        shop.component(lambda: manager(), name="thing")  # noqa: PLW0108  hides what it is
        lived = life.live(shop)
        assert isinstance(lived.error, StartError)
        assert isinstance(lived.error.__cause__, InvalidComponentError)


@pytest.mark.uvloop
def test_any_other_context_manager_under_component_is_a_value(life: Life) -> None:
    """`component` enters nothing: what it returns is the value as it is."""
    shop = Registry("shop")

    @shop.component
    async def thing() -> Both:
        return Both(life, "thing")

    lived = life.live(shop)
    assert lived.error is None
    assert [] == life.words


@pytest.mark.uvloop
@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("yields", [0, 2, 3])
def test_another_number_of_yields(life: Life, yields: int, *, sync: bool) -> None:
    """None: it did not start. More than one: it is closed, and the error says what to do."""
    shop = Registry("shop")

    def thing() -> Generator[int, None, None]:
        try:
            yield from range(yields)
        finally:
            life.note("closed")

    async def thing_async() -> AsyncIterator[int]:
        with contextlib.closing(thing()) as numbers:
            for number in numbers:
                yield number

    shop.component(thing if sync else thing_async, name="thing")

    lived = life.live(shop)
    assert ["closed"] == life.words
    assert isinstance(lived.error, StartError if yields == 0 else StopError)
    cause = lived.error.__cause__
    assert isinstance(cause, InvalidComponentError)
    assert ("drain" in str(cause)) is (yields > 0)


@pytest.mark.uvloop
def test_a_stop_iteration_of_the_users(life: Life) -> None:
    """An exception that means something to generators is a failure like any other."""
    shop = Registry("shop")

    @shop.component(optional=True)
    def sync_stop() -> int:
        raise StopIteration

    @shop.component(optional=True)
    async def async_stop() -> int:
        raise StopAsyncIteration

    @shop.component(optional=True)
    def sync_generator_stop() -> Iterator[int]:
        raise StopIteration  # noqa: PLR1708  the mistake that it is
        yield

    async def body(system: System) -> None:
        for component in (sync_stop, async_stop, sync_generator_stop):
            with pytest.raises(StartError):
                system[component]

    assert life.live(shop, body).error is None


@pytest.mark.uvloop
def test_generator_exit_is_a_failure(life: Life) -> None:
    """Nor is a `GeneratorExit` anything else."""
    shop = Registry("shop")

    @shop.component
    async def thing() -> None:
        raise GeneratorExit

    lived = life.live(shop)
    assert isinstance(lived.error, StartError)


# --- objects -------------------------------------------------------------------------------------


class Both(Noted):
    """An object with methods that also is a context manager."""

    async def __aenter__(self) -> None:
        raise AssertionError

    async def __aexit__(self, *args: object) -> None:
        raise AssertionError


class Manager:
    def __init__(self, life: Life) -> None:
        self.life = life

    async def __aenter__(self) -> str:
        self.life.note("enter")
        return "entered"

    async def __aexit__(self, *args: object) -> None:
        assert (None, None, None) == args
        self.life.note("exit")

    async def drain(self) -> None:
        self.life.note("drain")


class SyncManager:
    def __init__(self, life: Life) -> None:
        self.life = life

    def __enter__(self) -> str:
        self.life.note("enter")
        return "entered"

    def __exit__(self, *args: object) -> None:
        assert (None, None, None) == args
        self.life.note("exit")

    def drain(self) -> None:
        self.life.note("drain")


class BothManagers(Manager):
    def __enter__(self) -> None:
        raise AssertionError

    def __exit__(self, *args: object) -> None:
        raise AssertionError


def declare(shop: Registry, how: str, make: Callable[[], Any], **options: Any) -> Component[Any]:
    """Declare what `make` gives, in one of the ways that treat objects alike."""
    if how == "add":
        return shop.add(make(), name="thing", **options)
    if how == "build":
        return shop.build(make, name="thing", **options)

    async def build() -> Any:
        return make()

    return shop.build(build, name="thing", **options)


HOWS = pytest.mark.parametrize("how", ["add", "build", "build async"])


@HOWS
@pytest.mark.uvloop
def test_methods_are_hooks(life: Life, how: str) -> None:
    """`start`, `drain` and `stop` come before the object's being a context manager."""
    shop = Registry("shop")
    declare(shop, how, lambda: Both(life, "thing"))
    assert life.live(shop).error is None
    assert ["thing.start", "thing.drain", "thing.stop"] == life.words


@HOWS
@pytest.mark.uvloop
@pytest.mark.parametrize("kind", [Manager, SyncManager, BothManagers])
def test_context_managers_are_entered(life: Life, how: str, kind: Any) -> None:
    """The value is what they enter; an async one comes before a sync one; `drain` is added."""
    shop = Registry("shop")
    thing = declare(shop, how, lambda: kind(life))

    async def body(system: System) -> Any:
        life.note("body")
        return system[thing]

    lived = life.live(shop, body)
    assert lived.error is None
    assert "entered" == lived.result
    assert ["enter", "body", "drain", "exit"] == life.words


@HOWS
@pytest.mark.uvloop
def test_given_hooks_come_first(life: Life, how: str) -> None:
    """What is given is the whole of the life: methods and context managers are not looked at."""
    shop = Registry("shop")
    made: list[Any] = []

    def make() -> Any:
        made.append(Both(life, "thing"))
        return made[-1]

    def stop(*values: Any) -> None:
        assert values == (() if how == "add" else (made[-1],))
        life.note("given stop")

    thing = declare(shop, how, make, stop=stop)

    async def body(system: System) -> Any:
        return system[thing]

    lived = life.live(shop, body)
    assert lived.error is None
    assert made == [lived.result]
    assert ["thing.drain", "given stop"] == life.words


@HOWS
@pytest.mark.uvloop
def test_all_hooks_may_be_given(life: Life, how: str) -> None:
    """Sync and async ones, lambdas too; what a hook returns is awaited where it can be."""
    shop = Registry("shop")

    async def later(what: str) -> None:
        await anyio.lowlevel.checkpoint()
        life.note(what)

    def hook(what: str) -> Callable[..., Awaitable[None]]:
        return lambda *_: later(what)

    declare(
        shop, how, object, start=hook("start"), drain=hook("drain"), stop=lambda *_: life.note("s")
    )
    assert life.live(shop).error is None
    assert ["start", "drain", "s"] == life.words


@HOWS
@pytest.mark.uvloop
def test_a_given_start_alone(life: Life, how: str) -> None:
    """Nothing to stop is no error."""
    shop = Registry("shop")
    declare(shop, how, object, start=lambda *_: life.note("start"))
    assert life.live(shop).error is None
    assert ["start"] == life.words


@HOWS
@pytest.mark.uvloop
def test_a_drain_given_to_a_context_manager(life: Life, how: str) -> None:
    """It is added to the manager's life, and comes instead of its method `drain`."""
    shop = Registry("shop")
    declare(shop, how, lambda: Manager(life), drain=lambda *values: life.note(f"given{values}"))
    assert life.live(shop).error is None
    assert ["enter", f"given{() if how == 'add' else ('entered',)}", "exit"] == life.words


@HOWS
@pytest.mark.uvloop
def test_a_drain_by_decorator(life: Life, how: str) -> None:
    """`@thing.drain` takes the component's value, whatever the verb."""
    shop = Registry("shop")
    thing = declare(shop, how, lambda: Manager(life))
    thing.drain(lambda value: life.note(f"drain {value}"))
    assert life.live(shop).error is None
    assert ["enter", "drain entered", "exit"] == life.words


@pytest.mark.uvloop
def test_a_drain_by_decorator_beside_given_hooks(life: Life) -> None:
    """Hooks given to `add` take nothing, `@thing.drain` takes the value: both work together."""
    shop = Registry("shop")
    thing = object()
    component = shop.add(
        thing,
        start=lambda: life.note("start"),
        stop=lambda: life.note("stop"),
        name="thing",
    )

    @component.drain
    async def _(value: object) -> None:
        assert value is thing
        life.note("drain")

    lived = life.live(shop)
    assert lived.error is None
    assert ["start", "drain", "stop"] == life.words


@HOWS
@pytest.mark.uvloop
def test_an_object_without_hooks(life: Life, how: str) -> None:
    """It is refused, by the plan where it is known, and the way out is named."""
    shop = Registry("shop")
    declare(shop, how, object)
    if how == "add":
        with pytest.raises(InvalidComponentError, match="value"):
            shop.plan()
    else:
        lived = life.live(shop)
        assert isinstance(lived.error, StartError)
        assert isinstance(lived.error.__cause__, InvalidComponentError)


@HOWS
@pytest.mark.uvloop
def test_a_generator_is_no_object_with_a_life(life: Life, how: str) -> None:
    """Nothing of it would run: it is refused, and the verb named that it was meant for."""

    async def generate() -> AsyncIterator[int]:
        life.note("never")
        yield 1

    shop = Registry("shop")
    declare(shop, how, lambda: generate())  # noqa: PLW0108  that it generates is not to be seen
    if how == "add":
        with pytest.raises(InvalidComponentError, match="declare the function with component"):
            shop.plan()
    else:
        lived = life.live(shop)
        assert isinstance(lived.error, StartError)
        assert isinstance(lived.error.__cause__, InvalidComponentError)
        assert "declare the function with component" in str(lived.error.__cause__)
    assert [] == life.words


@pytest.mark.uvloop
def test_what_builds_from_a_generator(life: Life) -> None:
    """What is decorated may give an object, and hooks that are given are a life."""

    def entered(make: Callable[[], AsyncIterator[int]]) -> Callable[[], Any]:
        @functools.wraps(make)
        def enter() -> Any:
            return contextlib.asynccontextmanager(make)()

        return enter

    async def generate() -> AsyncIterator[int]:
        life.note("start")
        yield 1
        life.note("stop")

    def stop(generator: Any) -> None:
        life.note(type(generator).__name__)

    shop = Registry("shop")
    first: Any = shop.build(entered(generate), name="wrapped")
    build: Any = shop.build
    build(generate, name="raw", stop=stop, after=first)
    assert life.live(shop).error is None
    assert ["start", "async_generator", "stop"] == life.words


@HOWS
@pytest.mark.uvloop
def test_a_method_that_needs_arguments(life: Life, how: str) -> None:
    """`grpc.aio.Server.stop(grace)` cannot be called so: it is said before it is too late."""
    shop = Registry("shop")

    class Server:
        async def start(self) -> None:
            life.note("never")

        async def stop(self, grace: float) -> None: ...

    declare(shop, how, Server)
    if how == "add":
        with pytest.raises(InvalidComponentError, match="stop"):
            shop.plan()
    else:
        lived = life.live(shop)
        assert isinstance(lived.error, StartError)
        assert isinstance(lived.error.__cause__, InvalidComponentError)
    assert [] == life.words


@HOWS
@pytest.mark.rule("G1")
@pytest.mark.uvloop
def test_a_method_with_a_mark(life: Life, how: str) -> None:
    """Nothing fills the parameters of an object's own methods: none is called with `requires(…)`.

    That is said by the plan where the object is known, and else before anything of it is called.
    """
    shop = Registry("shop")
    config = shop.value("config", name="config")

    class Consumer:
        async def start(self) -> None:
            life.note("never")

        async def stop(self, config: str = requires(config)) -> None: ...

    declare(shop, how, Consumer)
    if how == "add":
        with pytest.raises(InvalidComponentError) as raised:
            shop.plan()
        told: BaseException = raised.value
    else:
        lived = life.live(shop)
        assert isinstance(lived.error, StartError)
        assert isinstance(lived.error.__cause__, InvalidComponentError)
        told = lived.error.__cause__
    assert (
        "'thing' has a 'stop' that would be given requires(…) itself for its parameter "
        "'config': only the functions of component, build, service, main and made_by are filled "
        "in. Let the function of a `build` require it, and give it to the object"
    ) == str(told)
    assert [] == life.words


@pytest.mark.rule("K4")
@pytest.mark.uvloop
def test_build_runs_on_the_loop(life: Life) -> None:
    """Many clients cannot be made anywhere else; so does a function of `map`."""
    shop = Registry("shop")
    tasks: list[str] = []

    @shop.build
    def client() -> Noted:
        anyio.get_current_task()
        tasks.append("build")
        return Noted(life, "client")

    def derive(client: Noted) -> int:
        tasks.append("map" if anyio.get_cancelled_exc_class() else "")
        return 3

    derived = client.map(derive)

    async def body(system: System) -> Any:
        return system[derived], derived.name

    lived = life.live(shop, body)
    assert (3, "client.derive") == lived.result
    assert ["build", "map"] == tasks


@pytest.mark.uvloop
def test_a_map_that_fails(life: Life) -> None:
    """It is a component that did not start."""
    shop = Registry("shop")
    number = shop.value("x", name="number")
    number.map(int, name="broken")
    lived = life.live(shop)
    assert isinstance(lived.error, StartError)
    assert "broken" == lived.error.component
    assert isinstance(lived.error.__cause__, ValueError)


@pytest.mark.uvloop
def test_a_map_of_something_optional(life: Life) -> None:
    """It is optional as well, is skipped with it, and absent with it."""
    shop = Registry("shop")

    @shop.component(optional=True)
    async def tracing() -> int:
        raise OSError

    spans = tracing.map(str)

    @shop.component
    async def web(spans: str = wants(spans, default="none")) -> str:
        return spans

    async def body(system: System) -> str:
        return system[web]

    assert "none" == life.live(shop, body).result


class GroupKeeper:
    """An object that holds a task group open between its hooks."""

    def __init__(self, life: Life) -> None:
        self.life = life

    async def start(self) -> None:
        self.group = anyio.create_task_group()
        await self.group.__aenter__()
        self.group.start_soon(anyio.sleep_forever)

    async def stop(self) -> None:
        self.life.note("its stop")
        self.group.cancel_scope.cancel()
        await self.group.__aexit__(None, None, None)


class ScopeKeeper(GroupKeeper):
    """The same with a bare cancel scope."""

    async def start(self) -> None:
        self.scope = anyio.CancelScope()
        self.scope.__enter__()

    async def stop(self) -> None:
        self.life.note("its stop")
        self.scope.__exit__(None, None, None)


@pytest.mark.rule("K1")
@pytest.mark.uvloop
@pytest.mark.parametrize("kind", [GroupKeeper, ScopeKeeper])
@HOWS
def test_an_object_that_holds_a_group_between_its_hooks(life: Life, how: str, kind: Any) -> None:
    """Scopes would close in the wrong order: it is refused, and its stop called to close it."""
    shop = Registry("shop")
    shop.add(Noted(life, "other"), name="other")
    declare(shop, how, lambda: kind(life), requires="other")
    lived = life.live(shop)
    assert isinstance(lived.error, StartError)
    assert "thing" == lived.error.component
    assert isinstance(lived.error.__cause__, InvalidComponentError)
    assert "context manager" in str(lived.error.__cause__)
    assert ["other.start", "its stop", "other.drain", "other.stop"] == life.words


@pytest.mark.rule("K1")
def test_an_object_that_is_cut_off_with_its_group_open(life: Life) -> None:
    """A start that times out inside a group of its own is what it is: too late."""
    shop = Registry("shop")

    class Hanging(GroupKeeper):
        async def start(self) -> None:
            await super().start()
            await anyio.sleep_forever()

    shop.add(Hanging(life), name="thing", start_timeout=3)
    lived = life.live(shop, observers=[life.observe])
    assert isinstance(lived.error, StartTimeoutError)
    assert "3 its stop" in life.log
    assert "3 = closed" in life.log


@pytest.mark.rule("K1")
@pytest.mark.uvloop
def test_a_context_manager_may_hold_a_group(life: Life) -> None:
    """It is what the error advises."""
    shop = Registry("shop")

    class Holder:
        async def __aenter__(self) -> int:
            self.group = anyio.create_task_group()
            await self.group.__aenter__()
            self.group.start_soon(anyio.sleep_forever)
            return 1

        async def __aexit__(self, *args: object) -> None:
            self.group.cancel_scope.cancel()
            await self.group.__aexit__(None, None, None)

    shop.add(Holder(), name="holder")
    assert life.live(shop).error is None


def test_an_object_whose_drain_is_cut_off(life: Life) -> None:
    """Each hook of an object has a scope of its own: its stop has its full time."""
    shop = Registry("shop")

    class Thing(Noted):
        async def drain(self) -> None:
            await anyio.sleep_forever()

        async def stop(self) -> None:
            await anyio.sleep(3)
            life.note("stopped")

    shop.add(Thing(life, "thing"), name="thing", drain_timeout=2)
    lived = life.live(shop)
    assert ["0 thing.start", "5 stopped"] == life.log
    assert 1 == len(lived.errors)


# --- retries -------------------------------------------------------------------------------------


def test_a_start_is_tried_again(life: Life) -> None:
    """With pauses that grow; each attempt is a call of its own."""
    shop = Registry("shop")
    attempts: list[float] = []

    @shop.component(retry=3)
    async def database() -> AsyncIterator[str]:
        attempts.append(round(life.now(), 3))
        if len(attempts) < 4:
            raise OSError
        yield "pool"

    async def body(system: System) -> str:
        return system[database]

    lived = life.live(shop, body, observers=[life.observe])
    assert "pool" == lived.result
    assert [0, 0.1, 0.3, 0.7] == attempts
    assert [
        "0 database starts",
        "0 database attempt 1 failed, next in 0.1: OSError",
        "0.1 database attempt 2 failed, next in 0.2: OSError",
        "0.3 database attempt 3 failed, next in 0.4: OSError",
        "0.7 database started",
    ] == life.log[1:6]


def test_retries_share_one_timeout(life: Life) -> None:
    """`start_timeout` runs from the first call and covers all retries."""
    shop = Registry("shop")

    @shop.component(retry=Retry(100, delay=1, factor=1), start_timeout=4.5)
    async def database() -> None:
        life.note("attempt")
        raise OSError

    lived = life.live(shop)
    assert [f"{second} attempt" for second in range(5)] == life.log
    assert isinstance(lived.error, StartTimeoutError)


@pytest.mark.parametrize("kind", [KeyError, OSError])
def test_only_what_is_worth_it_is_tried_again(life: Life, kind: type[Exception]) -> None:
    """`on` says what; anything else fails the start at once. The last error is the cause."""
    shop = Registry("shop")
    attempts: list[str] = []

    @shop.component(retry=Retry(2, on=(OSError,)))
    async def database() -> None:
        attempts.append("attempt")
        raise kind(str(len(attempts)))

    lived = life.live(shop)
    assert len(attempts) == (3 if kind is OSError else 1)
    assert isinstance(lived.error, StartError)
    assert kind is type(lived.error.__cause__)
    assert str(len(attempts)) in str(lived.error.__cause__)


@pytest.mark.parametrize("kind", [KeyError, OSError])
@pytest.mark.parametrize("service", [True, False])
def test_what_is_worth_it_may_come_out_of_a_task_group(
    life: Life, kind: type[Exception], *, service: bool
) -> None:
    """There it arrives in a group of one, and is told of as what it is."""
    shop = Registry("shop")
    retry = Retry(2, on=OSError)

    async def connect(life_: Lifetime) -> None:
        del life_
        life.note("attempt")
        async with anyio.create_task_group():
            raise kind("no")

    async def start() -> None:
        await connect(Lifetime.current())

    if service:
        shop.service(connect, name="web", retry=retry)
    else:
        shop.component(start, name="web", retry=retry)
    told: list[events.Event] = []
    lived = life.live(shop, observers=[told.append])
    assert (3 if kind is OSError else 1) == len(life.log)
    assert lived.error is not None
    assert kind is type(lived.error.__cause__)
    retried = [type(event.error) for event in told if isinstance(event, events.ComponentRetrying)]
    assert retried == [OSError] * (len(life.log) - 1)


def test_objects_are_tried_again(life: Life) -> None:
    """`build` makes a new object each time, `add` starts the same one again."""
    shop = Registry("shop")
    made: list[object] = []

    class Flaky(Noted):
        def __init__(self, life: Life, name: str) -> None:
            super().__init__(life, name)
            made.append(self)
            self.attempts = 0

        async def start(self) -> None:
            await super().start()
            self.attempts += 1
            if max(len(made) - 1, self.attempts) < 2:
                raise OSError

    flaky = Flaky(life, "added")
    shop.add(flaky, name="added", retry=1)

    lived = life.live(shop)
    assert lived.error is None
    assert ["0 added.start", "0.1 added.start", "0.1 added.drain", "0.1 added.stop"] == life.log

    again = Life(life.backend)
    shop = Registry("shop")
    shop.build(lambda: Flaky(again, "built"), name="built", retry=1)
    assert again.live(shop).error is None
    assert ["0 built.start", "0.1 built.start", "0.1 built.drain", "0.1 built.stop"] == again.log


def test_sync_starts_are_tried_again(life: Life) -> None:
    """In the same thread; the pause does not block it for ever."""
    shop = Registry("shop")
    attempts: list[int] = []

    @shop.component(retry=1)
    def database() -> Iterator[int]:
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError
        yield 1

    assert life.live(shop).error is None
    assert 2 == len(attempts)


def test_a_shutdown_during_a_pause_between_attempts(life: Life) -> None:
    """It does not wait for the next one."""
    shop = Registry("shop")

    @shop.component(retry=Retry(5, delay=30))
    async def database() -> None:
        life.note("attempt")
        raise OSError

    @shop.component
    async def asking(life: Lifetime) -> None:
        await anyio.sleep(2)
        life.system.shut_down()

    life.live(shop, observers=[life.observe])
    assert 1 == life.words.count("attempt")
    assert "2 = closed" in life.log


# --- parameters ----------------------------------------------------------------------------------


@pytest.mark.uvloop
@pytest.mark.parametrize("verb", ["component", "build", "service", "main"])
def test_the_lifetime_is_the_first_parameter(life: Life, verb: str) -> None:
    """Whatever its name and annotation, whatever the verb; it is the one that is current."""
    shop = Registry("shop")
    one = shop.value(1, name="one")
    got: list[Any] = []

    async def fn(anything: Any, one: int = requires(one), *, two: int = 2) -> Any:
        got.extend([anything is Lifetime.current(), anything.name, one, two])
        if verb == "service":
            anything.started()
            await anything.wait_draining()
        return Noted(life, "thing") if verb == "build" else 0

    getattr(shop, verb)(fn, name="thing")
    lived = life.live(shop)
    assert lived.error is None
    assert [True, "thing", 1, 2] == got


@pytest.mark.uvloop
def test_the_current_lifetime_of_hooks(life: Life) -> None:
    """`Lifetime.current()` works in every hook, methods, threads and child tasks included."""
    shop = Registry("shop")
    seen: list[tuple[str, str]] = []

    def see(what: str) -> None:
        seen.append((what, Lifetime.current().name))

    class Thing:
        async def start(self) -> None:
            see("start")

            async def child() -> None:
                see("child")

            async with anyio.create_task_group() as group:
                group.start_soon(child)

        def drain(self) -> None:
            see("drain, in its thread")

        async def stop(self) -> None:
            see("stop")

    thing = shop.add(Thing(), name="thing")

    @shop.component
    def legacy(thing: Thing = requires(thing)) -> Iterator[int]:
        see("sync start")
        yield 1
        see("sync stop")

    lived = life.live(shop)
    assert lived.error is None
    assert [
        ("start", "thing"),
        ("child", "thing"),
        ("sync start", "legacy"),
        ("drain, in its thread", "thing"),
        ("sync stop", "legacy"),
        ("stop", "thing"),
    ] == seen


@pytest.mark.uvloop
def test_no_current_lifetime(life: Life) -> None:
    """Outside of any hook there is none, in the body neither."""

    async def body(system: System) -> None:
        with pytest.raises(LookupError, match="Lifetime"):
            Lifetime.current()

    assert life.live(Registry("shop"), body).error is None
    with pytest.raises(LookupError):
        Lifetime.current()
