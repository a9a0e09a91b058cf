"""When a program is started again, in virtual time; the programs are none."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lifecycle import Retry
from lifecycle.integrations import process
from lifecycle.integrations.process import ProcessError, _worker
from lifecycle.integrations.process._restarts import Restarts
from tests.edges.process.kit import shop_of
from tests.engine.kit import BACKENDS, Life

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from lifecycle import System

# Virtual time jumps over the patience with real threads.
pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture(params=BACKENDS)
def life(request: pytest.FixtureRequest) -> Life:
    """What runs systems in virtual time."""
    return Life(request.param)


class FakeRun:
    """A run of a program that starts at once, and ends by itself after a time."""

    pid = 1
    grace = 0.0

    def __init__(self, life: Life, lasts: float) -> None:
        self._life = life
        self._lasts = lasts
        self._asked = anyio.Event()

    async def ready(self) -> None:
        self._life.note("starts")

    async def wait(self) -> None:
        with anyio.move_on_after(self._lasts):
            await self._asked.wait()
        self._life.note("ends")

    def ask(self) -> None:
        self._asked.set()

    def unwanted_end(self) -> ProcessError:
        return ProcessError("it ended")

    def asked_end(self) -> None:
        return None

    @property
    def group(self) -> Any:
        return self

    @property
    def returncode(self) -> int:
        return 0


@pytest.fixture
def lasting(monkeypatch: pytest.MonkeyPatch, life: Life) -> Callable[..., None]:
    """Say how long each run of the program is to last, the last number for all that follow."""

    def say(*seconds: float) -> None:
        lasts: Iterator[float] = iter((*seconds, *[seconds[-1]] * 1000))

        @contextlib.asynccontextmanager
        async def running(*_: object, **__: object) -> AsyncGenerator[FakeRun]:
            yield FakeRun(life, next(lasts))

        monkeypatch.setattr(_worker, "running", running)

    return say


def live(life: Life, restart: Retry, period: float, until: float) -> list[str]:
    """Live for so many seconds; give the errors."""

    async def body(_: System) -> None:
        await anyio.sleep(until)

    part = process.process(["program"], restart=restart, restart_period=period)
    return life.live(shop_of(part), body).errors


def test_the_pauses_grow(life: Life, lasting: Callable[..., None]) -> None:
    """As `Retry` has them; the end after the last of them is a crash."""
    lasting(1.0)

    errors = live(life, Retry(3, delay=1, factor=2), 60, 1000)

    assert life.log == [
        *("0 starts", "1 ends"),
        *("2 starts", "3 ends"),
        *("5 starts", "6 ends"),
        *("10 starts", "11 ends"),
    ]
    crashed = "CrashedError: 'part' crashed: ProcessError: "
    assert errors == [
        f"{crashed}it was started again 3x within 60 s, and is not any more: it ended"
    ]


def test_who_ends_now_and_then_is_always_started_again(
    life: Life, lasting: Callable[..., None]
) -> None:
    """The limit is one within a period; after a quiet one the pauses are short again."""
    lasting(50.0)

    errors = live(life, Retry(1, delay=1), 50, 300)

    assert errors == []
    assert life.words.count("starts") == 6
    assert "51 starts" in life.log
    assert "102 starts" in life.log


def test_a_shutdown_in_a_pause_waits_for_nothing(life: Life, lasting: Callable[..., None]) -> None:
    """Nothing runs, so there is nothing to end."""
    lasting(1.0)

    errors = live(life, Retry(3, delay=1000, max_delay=1000), 60, 5)

    assert errors == []
    assert life.log == ["0 starts", "1 ends"]
    assert life.now() <= 6.1  # the thread that writes the log has a second, and time jumps over it


def test_only_so_many_within_a_period() -> None:
    """The oldest is forgotten when it is a period old."""
    restarts = Restarts(Retry(2, delay=1, factor=3), 10)
    error = ProcessError("it ended")

    assert (bool(restarts), str(restarts)) == (False, "0x within 10 s")
    assert [restarts.pause(at, error) for at in (0, 1, 2)] == [1, 3, None]
    assert (bool(restarts), str(restarts)) == (True, "2x within 10 s")
    assert restarts.pause(9.9, error) is None
    assert restarts.pause(10, error) == 3
    assert restarts.pause(30, error) == 1


def test_what_is_not_worth_another_start_is_not() -> None:
    """`Retry.on` holds here, too."""
    restarts = Restarts(Retry(2, on=KeyError), 10)

    assert restarts.pause(0, ProcessError("it ended")) is None


def test_none_is_none() -> None:
    """With 0 there is no restart."""
    assert Restarts(Retry(0), 10).pause(0, ProcessError("it ended")) is None
