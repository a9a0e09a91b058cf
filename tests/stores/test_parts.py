"""The parts of the page that talk to no server of ours: SQLite, HTTP, threads, schedules."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Lifetime, Outcome, Registry, errors, events, requires
from lifecycle.probes import ask
from tests.ports import held_port
from tests.stores.kit import Ends, live, no_thread_is_left, used_by
from tests.stores.page import recipes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from lifecycle import Report, System

ON_ALL = pytest.mark.parametrize("backend", ["asyncio", "uvloop", "trio"])


# --- SQLAlchemy on SQLite -----------------------------------------------------------------------


async def count(sessions: Any) -> int:
    """Use what the page calls `sessions`."""
    from sqlalchemy import text  # noqa: PLC0415  only where it is used

    async with sessions.begin() as session:
        await session.execute(text("create table if not exists orders (id integer primary key)"))
        await session.execute(text("insert into orders default values"))
        found: int = (await session.execute(text("select count(*) from orders"))).scalar()
    return found


def test_sqlite(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session works while who uses it drains; the engine and its threads end after that."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path}/shop.db")
    page = recipes()
    counted: list[int] = []

    async def use(sessions: Any) -> None:
        counted.append(await count(sessions))

    async def body(system: System) -> None:
        assert (await ask(system, "ready")).ok
        counted.append(await count(system[page.sessions]))

    ends = Ends()
    report = live(used_by(page.shop, page.sessions, use), body, backend, ends)

    assert Outcome.CLEAN == report.outcome
    assert [1, 2] == counted
    assert ends.seen.index("user drained") < ends.seen.index("engine stopped")
    no_thread_is_left()


# aiosqlite's thread tells the loop that it has ended, and does not look whether there is still one.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_sqlite_that_cannot_open_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The start fails with what SQLite says, and leaves no thread behind."""
    before = threading.enumerate()
    monkeypatch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path}/none/shop.db")
    page = recipes()

    async def nothing(_: System) -> None:
        pytest.fail("it has started")

    with pytest.raises(errors.StartError, match="unable to open database file"):
        live(page.shop.only(page.sessions), nothing)

    for thread in set(threading.enumerate()) - set(before):
        thread.join(30)
        assert not thread.is_alive()


# --- an HTTP client -----------------------------------------------------------------------------


@ON_ALL
def test_http(backend: str) -> None:
    """A request that a part makes while it drains gets its answer; then the client is closed."""
    page = recipes()
    with held_port() as port:
        clients, ends, report = http_at(page, port, backend)

    assert Outcome.CLEAN == report.outcome
    assert ends.seen.index("user drained") < ends.seen.index("http stopped")
    assert [True] == [client.is_closed for client in clients]


def http_at(page: Any, port: int, backend: str) -> tuple[list[Any], Ends, Report]:
    """Have a part make a request at a port while it drains."""
    clients: list[Any] = []

    async def answer(stream: Any) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async def use(http: Any) -> None:
        clients.append(http)
        assert (await http.get(f"http://127.0.0.1:{port}/")).text == "ok"

    shop: Registry = page.shop

    @shop.component
    async def server() -> AsyncIterator[None]:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, answer)
            yield
            tasks.cancel_scope.cancel()

    @shop.service(requires=[server])
    async def user(life: Lifetime, http: Any = requires(page.http)) -> None:
        life.started()
        await life.wait_draining()
        await use(http)

    async def body(system: System) -> None:
        assert not system[page.http].is_closed

    ends = Ends()
    return clients, ends, live(shop.only(user), body, backend, ends)


# --- a thread pool ------------------------------------------------------------------------------


@ON_ALL
def test_threads(backend: str) -> None:
    """The drain waits for the work in them, that which a part hands in while it drains included."""
    page = recipes()
    gate = threading.Event()
    done: list[str] = []
    done_by_then: list[str] = []

    def work(what: str) -> None:
        assert gate.wait(30)
        done.append(what)

    async def use(workers: Any) -> None:
        workers.submit(work, "last")

    async def body(system: System) -> None:
        for number in range(6):
            system[page.workers].submit(work, str(number))

    class Opens(Ends):
        def __call__(self, event: Any) -> None:
            super().__call__(event)
            if self.seen == ["user drained"]:
                gate.set()
            if isinstance(event, events.ComponentDrained) and event.component == "workers":
                done_by_then.extend(done)

    ends = Opens()
    report = live(used_by(page.shop, page.workers, use), body, backend, ends)

    assert Outcome.CLEAN == report.outcome
    assert ["0", "1", "2", "3", "4", "5", "last"] == sorted(done_by_then)
    assert ["user drained", "workers drained"] == ends.seen[:2]
    no_thread_is_left()


# --- schedules ----------------------------------------------------------------------------------


def test_a_scheduled_job(backend: str) -> None:
    """One that runs is waited for; none begins after that, and none is cut off."""
    page = recipes()
    said: list[str] = []
    begun = anyio.Event()
    go = anyio.Event()

    async def report() -> None:
        said.append("begun")
        begun.set()
        await go.wait()
        said.append("ended")

    page.report = report

    async def body(system: System) -> None:
        scheduler = system[page.scheduler]
        (job,) = scheduler.get_jobs()
        # However late: else one that is late by a second is left out.
        job.modify(next_run_time=datetime.now(timezone.utc), misfire_grace_time=None)
        await begun.wait()
        system.shut_down("a deploy")
        await system.wait_draining()
        assert ["the report"] == [work.what for work in system.status().in_flight]
        scheduler.add_job(said.append, args=["too late"], next_run_time=datetime.now(timezone.utc))
        await anyio.wait_all_tasks_blocked()
        go.set()

    ended = live(page.shop.only(page.scheduler), body, backend)

    assert Outcome.CLEAN == ended.outcome
    assert ["begun", "ended"] == said


@ON_ALL
def test_once_an_hour(backend: str) -> None:
    """The report is written at its time, and one that is being written is not cut off."""
    page = recipes()
    said: list[str] = []
    begun = anyio.Event()
    go = anyio.Event()

    async def report() -> None:
        said.append("begun")
        begun.set()
        await go.wait()
        said.append("ended")

    page.report = report
    page.next_hour = lambda now: now + timedelta(seconds=0.05)

    async def body(system: System) -> None:
        await begun.wait()
        system.shut_down("a deploy")
        go.set()

    ended = live(page.shop.only(page.hourly), body, backend)

    assert Outcome.CLEAN == ended.outcome
    assert ["begun", "ended"] == said


def test_the_next_hour() -> None:
    """It is the next full one, and never the one that has just come."""
    next_hour = recipes().next_hour
    noon = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
    assert noon + timedelta(hours=1) == next_hour(noon)
    assert noon + timedelta(hours=1) == next_hour(noon + timedelta(minutes=59, seconds=59))
    assert noon == next_hour(noon - timedelta(microseconds=1))
