"""The example, as its users run it: a real process, real requests, real signals."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.kit import GENEROUS, Process, running, running_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

MAIN = Path(__file__).parents[2] / "examples" / "shop" / "main.py"

# Who needs whom, as the example declares it.
NEEDS = {
    "config": (),
    "jobs": (),
    "database": ("config",),
    "packing": ("jobs", "database"),
    "web": ("jobs", "database", "config", "packing"),
}


@pytest.fixture(params=["asyncio", "uvloop"])
def backend(request: pytest.FixtureRequest) -> str:
    """Run a test on the event loops that uvicorn runs on."""
    name: str = request.param
    return name


class Shop:
    """The example, as long as it runs."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.url = process.until(r"web listens at (http://127\.0\.0\.1:(\d+))")[1]
        process.until(r" running$")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        url = httpx.URL(self.url)
        return url.host, url.port or 80

    def client(self) -> httpx.Client:
        """Somebody who orders."""
        return httpx.Client(base_url=self.url, timeout=GENEROUS, trust_env=False)

    def is_refused(self) -> bool:
        """Whether nobody listens any more."""
        try:
            socket.create_connection(self.address, timeout=GENEROUS).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:  # it came into the backlog in the moment of the closing
            return False
        return False

    def until_in_flight(self, client: httpx.Client, what: str, number: int) -> None:
        """Wait until some requests have arrived; each look is a round trip."""
        for _ in range(10_000):
            status = client.get("/status").json()
            if [work["what"] for work in status["in_flight"]].count(what) == number:
                return
        raise AssertionError(self.process.output)


@contextlib.contextmanager
def shop(tmp_path: Path, backend: str = "asyncio", **env: str) -> Iterator[Shop]:
    """Run it, at a port that is free."""
    env = {"SHOP_PORT": "0", "SHOP_DATA": str(tmp_path), **env}
    program: AbstractContextManager[Process]
    if backend == "asyncio":
        program = running(sys.executable, MAIN, env=env)
    else:
        program = running_program(__file__, "shop", backend, env=env)
    with program as process:
        yield Shop(process)


class Asking:
    """Requests that are made meanwhile, each on a connection of its own.

    The clients are made before: that takes long on a busy machine.
    """

    def __init__(self, shop: Shop, path: str, number: int) -> None:
        self.answers: list[httpx.Response] = []
        self._threads = [
            threading.Thread(target=self._ask, args=(client, path), daemon=True)
            for client in [shop.client() for _ in range(number)]
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, client: httpx.Client, path: str) -> None:
        with client:
            self.answers.append(client.get(path))

    def done(self) -> list[tuple[int, Any]]:
        """Wait for all answers."""
        for thread in self._threads:
            thread.join(GENEROUS)
        return [(answer.status_code, answer.json()) for answer in self.answers]


def order_of(process: Process, verb: str) -> list[str]:
    """In which order the parts did something."""
    done = (re.search(rf"\d (\w+) {verb} \(", line) for line in process.lines)
    return [match[1] for match in done if match]


def test_parts_start_in_order_and_stop_in_reverse(backend: str, tmp_path: Path) -> None:
    """Each after what it needs, and before it again."""
    with shop(tmp_path, backend) as running_shop:
        running_shop.process.send(signal.SIGTERM)
        assert running_shop.process.wait() == 0
    started = order_of(running_shop.process, "started")
    stopped = order_of(running_shop.process, "stopped")

    assert set(NEEDS) == set(started) == set(stopped)
    for name, needs in NEEDS.items():
        for need in needs:
            assert started.index(need) < started.index(name)
            assert stopped.index(need) > stopped.index(name)


def test_orders_are_taken_and_packed(tmp_path: Path) -> None:
    """What was ordered before a SIGTERM is packed before the end, and kept."""
    with shop(tmp_path) as running_shop, running_shop.client() as client:
        answers = [client.post("/orders", params={"item": "a book"}) for _ in range(20)]
        assert [(202, {"order": number}) for number in range(1, 21)] == [
            (answer.status_code, answer.json()) for answer in answers
        ]
        running_shop.process.send(signal.SIGTERM)
        assert running_shop.process.wait() == 0

    with shop(tmp_path) as running_shop, running_shop.client() as client:
        assert client.get("/").json() == {"orders": 20, "packed": 20}


def test_its_status_tells_of_every_part(tmp_path: Path) -> None:
    """And of what is in flight, the request for it included."""
    with shop(tmp_path) as running_shop, running_shop.client() as client:
        answer = client.get("/status")

    assert answer.headers["content-type"] == "application/json"
    status = answer.json()
    assert (status["phase"], status["ready"], status["reason"]) == ("running", True, None)
    assert dict.fromkeys(NEEDS, "ready") == {
        name: component["state"] for name, component in status["components"].items()
    }
    assert [("web", "GET /status")] == [
        (work["component"], work["what"])
        for work in status["in_flight"]
        if work["component"] is not None
    ]


def test_slow_requests_are_finished(backend: str, tmp_path: Path) -> None:
    """On SIGTERM: three are in flight, nobody new gets in, all three are answered; exit 0."""
    with shop(tmp_path, backend) as running_shop:
        with running_shop.client() as client:
            asking = Asking(running_shop, "/slow?seconds=4", 3)
            running_shop.until_in_flight(client, "GET /slow", 3)
        running_shop.process.send(signal.SIGTERM)
        running_shop.process.until(r" web drains$")
        # The listener is closed a moment after that line was written.
        assert any(running_shop.is_refused() for _ in range(10_000))
        assert [] == asking.answers

        assert [(200, {"slept": 4.0})] * 3 == asking.done()
        assert ["close"] * 3 == [answer.headers["connection"] for answer in asking.answers]
        assert running_shop.process.wait() == 0


def test_the_drain_delay_serves_everybody(backend: str, tmp_path: Path) -> None:
    """Out of rotation, and still there for those who have not heard of that."""
    long = {"LIFECYCLE_GRACE_PERIOD": "90", "LIFECYCLE_DRAIN_DELAY": "60"}
    with shop(tmp_path, backend, **long) as running_shop:
        asking = Asking(running_shop, "/slow?seconds=1", 1)
        running_shop.process.send(signal.SIGTERM)
        running_shop.process.until(r" delaying$")
        with running_shop.client() as client:
            status = client.get("/status")
        assert ("delaying", False) == (status.json()["phase"], status.json()["ready"])
        assert status.headers["connection"] == "close"
        assert [(200, {"slept": 1.0})] == asking.done()
        running_shop.process.send(signal.SIGINT)  # the delay need not be waited for

        assert running_shop.process.wait() == 0


def test_a_stream_ends_itself(backend: str, tmp_path: Path) -> None:
    """It is told that the shop closes, says goodbye, and loses nothing."""
    with shop(tmp_path, backend) as running_shop, running_shop.client() as client:
        with client.stream("GET", "/stream") as stream:
            lines = stream.iter_lines()
            first = [next(lines), next(lines)]
            running_shop.process.send(signal.SIGTERM)
            rest = list(lines)
        assert running_shop.process.wait() == 0

    assert ["data: 0", ""] == first
    assert ["event: goodbye", "data: the shop closes", ""] == rest[-3:]


def test_sigterm_during_a_busy_second(tmp_path: Path) -> None:
    """An order that was taken was confirmed, and is packed; the end is clean."""
    with shop(tmp_path) as running_shop:
        answered: list[int] = []

        def keep_ordering() -> None:
            # Without a drain delay some meet a connection that is just being closed.
            with contextlib.suppress(httpx.TransportError), running_shop.client() as client:
                while True:
                    answered.append(client.post("/orders").status_code)

        threads = [threading.Thread(target=keep_ordering, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        with running_shop.client() as client:
            while client.get("/").json()["orders"] < 30:
                pass
        running_shop.process.send(signal.SIGTERM)
        for thread in threads:
            thread.join(GENEROUS)
        assert running_shop.process.wait() == 0
    # Where the drain was over before the connection was, an order is refused in words.
    assert {202} <= set(answered) <= {202, 503}
    confirmed = answered.count(202)

    with shop(tmp_path) as running_shop, running_shop.client() as client:
        counts = client.get("/").json()
    assert {"orders": confirmed, "packed": confirmed} == counts


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """Exit 69, and the real cause in the first paragraph, with the address."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        env = {"SHOP_PORT": str(port), "SHOP_DATA": str(tmp_path)}
        with running(sys.executable, MAIN, env=env) as process:
            assert process.wait() == 69

    account = process.output.partition("lifecycle: ")[2]
    assert account.partition("\n\n")[0].splitlines() == [
        "The system did not start, and what had started was stopped again. Exit code 69.",
        (
            "  'web' did not start: OSError: [Errno 98] cannot listen on "
            f"127.0.0.1:{port}: Address already in use"
        ),
    ]
    assert {"web"} == set(NEEDS) - set(order_of(process, "stopped"))


def test_a_data_directory_that_is_not_there(tmp_path: Path) -> None:
    """The preflight check ends it before anything has started."""
    missing = tmp_path / "missing"
    env = {"SHOP_PORT": "0", "SHOP_DATA": str(missing)}
    with running(sys.executable, MAIN, env=env) as process:
        assert process.wait() == 69

    assert f"{missing} is not writable: No such file or directory" in process.output
    assert [] == order_of(process, "started")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_other_signals_end_it_in_order(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C, and what some supervisors send; in a terminal the whole group gets it."""
    with shop(tmp_path) as running_shop:
        running_shop.process.send_group(number)

        assert running_shop.process.wait() == 0
