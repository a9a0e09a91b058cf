"""`testing.verify`: finds what does not keep its promises, and nothing in what does."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from typing_extensions import Self

from lifecycle import Lifetime, Registry, System, cli, requires, testing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path


def sound() -> Registry:
    """Declare a service that keeps its promises."""
    shop = Registry("shop")

    @shop.component
    def config() -> str:
        return "config"

    @shop.component
    async def database(config: str = requires(config)) -> AsyncIterator[str]:
        await anyio.sleep(0.2)
        yield "database"
        await anyio.sleep(0.1)

    @shop.component(optional=True)
    async def tracing() -> AsyncIterator[str]:
        await anyio.sleep(0.05)
        yield "tracing"
        await anyio.sleep(0.05)

    @shop.component
    async def jobs(database: str = requires(database)) -> AsyncIterator[str]:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            yield "jobs"
            group.cancel_scope.cancel()

    @jobs.drain
    async def _(_: str) -> None:
        await anyio.sleep(0.3)

    @database.check
    async def _(_: str) -> None:
        await anyio.sleep(0.01)

    @shop.service
    async def orders(life: Lifetime, jobs: str = requires(jobs)) -> None:
        life.started()
        while await life.sleep(0.4):
            with life.hold("order"):
                await anyio.sleep(0.1)

    return shop


def in_threads() -> Registry:
    """Declare a component whose hooks and checks are called in its thread."""
    shop = Registry("shop")

    @shop.component
    def database() -> Iterator[str]:
        yield "database"

    @database.drain
    def _(_: str) -> None:
        pass

    @database.check
    def _(_: str) -> None:
        pass

    return shop


class Manager:
    """An async context manager, as many clients are."""

    async def __aenter__(self) -> Self:
        await anyio.sleep(0.2)
        return self

    async def __aexit__(self, *_: object) -> None:
        await anyio.sleep(0.1)


def managed() -> Registry:
    """Declare async context managers, in all the ways in which they can be."""
    shop = Registry("shop")

    @shop.component
    def queue() -> object:
        raise NotImplementedError

    @shop.build
    def client() -> Manager:
        return Manager()

    @shop.build
    @contextlib.asynccontextmanager
    async def pool() -> AsyncIterator[str]:
        yield "pool"

    shop.add(Manager(), name="broker")
    return shop.override(queue.made_by(Manager))


def stop_hangs(shop: Registry) -> None:
    """Add a component whose stop never ends."""

    @shop.component
    async def broken() -> AsyncIterator[str]:
        yield "broken"
        await anyio.sleep_forever()


def swallows_cancellation(shop: Registry) -> None:
    """Add one whose start goes on when it is cancelled."""

    @shop.component
    async def broken() -> str:
        for _ in range(100):
            with contextlib.suppress(anyio.get_cancelled_exc_class()):  # the mistake in question
                await anyio.sleep(0.01)
        return "broken"


def leaks_a_task(shop: Registry) -> None:
    """Add one that leaves a task behind."""

    @shop.component
    async def broken() -> AsyncIterator[str]:
        task = asyncio.create_task(asyncio.sleep(1e9), name="forgotten")
        yield "broken"
        del task


def drain_needs_what_is_closed(shop: Registry) -> None:
    """Add a drain that waits until what it uses has closed, which waits for the drain."""

    @shop.component
    async def queue() -> AsyncIterator[anyio.Event]:
        closed = anyio.Event()
        yield closed
        closed.set()

    @shop.component
    async def broken(queue: anyio.Event = requires(queue)) -> AsyncIterator[anyio.Event]:
        yield queue

    @broken.drain
    async def _(closed: anyio.Event) -> None:
        await closed.wait()


def start_outlives_its_timeout(shop: Registry) -> None:
    """Add a start that takes longer than it may."""

    @shop.component(start_timeout=5)
    async def broken() -> None:
        await anyio.sleep(6)


def stop_fails_after_a_failed_start(shop: Registry) -> None:
    """Add one whose cleanup needs what its start had not yet made."""

    @shop.component
    async def broken() -> AsyncIterator[str]:
        made: dict[str, str] = {}
        try:
            await anyio.sleep(0.1)
            made["connection"] = "open"
            yield "broken"
        finally:
            del made["connection"]


def forgets_a_generator(shop: Registry) -> None:
    """Add one that leaves an async generator in the middle."""
    kept: list[Any] = []

    async def numbers() -> AsyncIterator[int]:
        yield 1
        yield 2

    @shop.component
    async def broken() -> str:
        items = numbers()
        kept.append(items)
        async for _ in items:
            break
        return "broken"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_sound_registry_keeps_every_promise(backend: Any) -> None:
    """Hundreds of lives, and nothing is found; what was tried is said."""
    verification = testing.verify(sound(), backends=[backend])

    assert () == verification.broken
    assert 5 == verification.components
    assert verification.lives > 200
    assert f"on {backend}, seeds None, 0, 1" in str(verification)
    assert str(verification).endswith("every promise was kept")


def test_a_backend_is_put_in_a_list() -> None:
    """One might take it for several, of a letter each."""
    one: Any = "trio"
    with pytest.raises(TypeError, match=r"put 'trio' in one, as backends=\[…\]"):
        testing.verify(Registry("shop"), backends=one)


@pytest.mark.parametrize("nothing", ["backends", "seeds"])
def test_nothing_is_not_verified(nothing: str) -> None:
    """It would be said to keep every promise."""
    empty: Any = {nothing: ()}
    with pytest.raises(ValueError, match=f"{nothing} is empty, and so nothing would be verified"):
        testing.verify(sound(), **empty)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_async_context_managers_keep_every_promise(backend: Any) -> None:
    """Whichever way they are declared: no fault is tried that cannot be."""
    verification = testing.verify(managed(), backends=[backend], seeds=[None])

    assert () == verification.broken
    assert 8 == verification.hooks


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_sync_components_keep_every_promise(backend: Any) -> None:
    """Where a check hangs, the thread is stuck that its stop would be called in."""
    verification = testing.verify(in_threads(), backends=[backend], seeds=[None])

    assert () == verification.broken
    assert 4 == verification.hooks


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("seconds", [0, 0.1, 0.5, 0.6])
def test_a_short_life_keeps_every_promise(seconds: float, backend: Any) -> None:
    """Also one that is over before a crash could come, or in that very moment."""
    batch = Registry("batch")

    @batch.component
    async def database() -> AsyncIterator[str]:
        yield "database"

    @batch.service
    async def heartbeat(life: Lifetime) -> None:
        life.started()
        while await life.sleep(0.1):
            pass

    @batch.main
    async def nightly(database: str = requires(database)) -> int:
        await anyio.sleep(seconds)
        return 0

    assert () == testing.verify(batch, backends=[backend], seeds=[None]).broken


@pytest.mark.parametrize(
    ("breaks", "found"),
    [
        (stop_hangs, "StopError: the stop hook of 'broken' had not ended after 10 s"),
        (swallows_cancellation, "the start of 'broken' swallowed its cancellation"),
        (leaks_a_task, "it left the task 'forgotten' behind"),
        (drain_needs_what_is_closed, "DrainTimeoutError: 'broken' had not drained"),
        (start_outlives_its_timeout, "StartTimeoutError: 'broken' was not ready after 5 s"),
        (stop_fails_after_a_failed_start, "StopError: the start hook of 'broken' failed"),
        (forgets_a_generator, "it left the async generator 'numbers'"),
    ],
)
def test_what_is_broken_is_found_and_can_be_reproduced(
    breaks: Callable[[Registry], None], found: str
) -> None:
    """The error says what, when, and gives a test that fails for the same reason."""
    shop = sound()
    breaks(shop)
    with pytest.raises(testing.BrokenPromiseError) as caught:
        testing.verify(shop, backends=["asyncio"], seeds=[None])

    broken = {one.promise.partition("\n")[0]: one for one in caught.value.verification.broken}
    (first,) = (one for promise, one in broken.items() if promise.startswith(found))
    assert 1 == len(broken)
    assert found in str(caught.value)
    with pytest.raises(AssertionError):
        pasted(first.reproduction, shop)()


def pasted(test: str, shop: Registry | None = None) -> Any:
    """Make a function of a test that was written down, beside the registry that it names."""
    namespace: dict[str, Any] = {} if shop is None else {"shop": shop}
    exec(test, namespace)  # noqa: S102  that is what pasting is
    return next(value for name, value in namespace.items() if name.startswith("test_"))


MODULE = """
import anyio
from lifecycle import Limits, Registry, Settings, testing
shop = Registry("shop")
worked = []
@shop.component(stop_timeout=5)
async def jobs():
    worked.clear()
    yield "jobs"
    if worked:
        await anyio.sleep(worked[0])
async def work(system):
    worked.append(3)
SHORT = Settings(limits={"jobs": Limits(stop=2)})
"""
"""A registry that breaks a promise only with a body and with settings."""


@pytest.mark.parametrize(
    "arguments",
    [
        "shop, work, SHORT",
        "shop, work, SHORT, source='{module}:shop'",
        "shop, settings=SHORT, body=work, source='{module}:shop'",
        "shop, lambda system: work(system), source='{module}:shop', settings=SHORT",
    ],
)
def test_a_reproduction_has_the_body_and_the_settings(
    arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the call has them, and imported where they are: without them it would find nothing."""
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path.name
    call = f"testing.verify({arguments.format(module=module)}, seeds=[None])"
    (tmp_path / f"{module}.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / f"{module}_calls.py").write_text(
        f"from {module} import SHORT, shop, testing, work\ndef find():\n    return {call}\n",
        encoding="utf-8",
    )
    with pytest.raises(testing.BrokenPromiseError) as caught:
        importlib.import_module(f"{module}_calls").find()

    (broken,) = caught.value.verification.broken
    assert broken.promise.startswith("StopError: the stop hook of 'jobs' had not ended after 2 s")
    with pytest.raises(AssertionError):
        pasted(broken.reproduction)()


def test_a_reproduction_misses_what_it_cannot_read() -> None:
    """A test that passes without it would say that all is well."""
    shop = Registry("shop")

    @shop.component
    async def jobs() -> AsyncIterator[list[str]]:
        worked: list[str] = []
        yield worked
        if worked:
            await anyio.sleep_forever()

    async def work(system: System) -> None:
        system[jobs].append("work")

    given: Any = (shop, work)
    with pytest.raises(testing.BrokenPromiseError) as caught:
        testing.verify(*given, seeds=[None])

    (broken,) = caught.value.verification.broken
    assert "testing.live(registry, body=body)" in broken.reproduction


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_hook_that_can_never_be_ended_does_not_hang_the_test(backend: Any) -> None:
    """In production the process ends without it; here the life is given up, and names it."""
    shop = Registry("shop")

    @shop.component
    async def broken() -> AsyncIterator[str]:
        yield "broken"
        while True:
            with contextlib.suppress(anyio.get_cancelled_exc_class()):  # the mistake in question
                await anyio.sleep(60)

    with pytest.raises(
        testing.BrokenPromiseError, match=r"(?s)never ended.*'lifecycle: broken' waits"
    ):
        testing.verify(shop, backends=[backend], seeds=[None])


@pytest.mark.parametrize(("is_sound", "code"), [(True, 0), (False, 1)])
def test_the_command_line_verifies(
    *,
    is_sound: bool,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`lifecycle check --verify` says what was tried, or found, and ends with 0 or 1.

    The settings are those of the environment, and are so in the test that it gives.
    """
    hook = "pass" if is_sound else "await anyio.sleep_forever()"
    module = f"verified_{code}"
    (tmp_path / f"{module}.py").write_text(
        "import anyio\n"
        "from lifecycle import Registry\n"
        "shop = Registry('shop')\n"
        "@shop.component\n"
        "async def web(): raise OSError('it talks to the world')\n"
        "@shop.component\n"
        "async def database():\n"
        "    yield 'database'\n"
        f"    {hook}\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("LIFECYCLE_GRACE_PERIOD", "20")

    assert code == cli.main(["check", "--verify", "--without", "web", f"{module}:shop"])
    said = capsys.readouterr().out
    assert ("every promise was kept" in said) is is_sound
    assert (f"from {module} import shop" in said) is not is_sound
    found = "testing.live(shop.without('web'), settings=Settings.from_env())"
    assert (found in said) is not is_sound
    assert ("from lifecycle import Settings" in said) is not is_sound
