"""Requests that come whether or not those before them were answered, and what becomes of each.

What counts:

* A request is **answered** if its whole response came and says 2xx; anything else that its client
  gets to see is a **failure**: refused, reset, truncated, an error code, no answer in time.
* Not seen by those who sent it is what every HTTP client does for them. Either side may close a
  connection that is kept, at any time, also in the very moment in which the other sends the next
  request; so a client has to be prepared for that (RFC 9112, section 9.3.1), and where a kept
  connection breaks before the first byte of a response it sends a request again, on a new
  connection, if its method is idempotent (RFC 9110, section 9.2.2). That is done here once for each
  request, and counted as **retried**. A request on a new connection has no such excuse.
* A :class:`Proxy` has several servers to choose from, and does what nginx and Envoy can be told to
  do: where it cannot connect to one, gets no answer in time, or a 503, it asks the next one, each
  once, if that can do no harm: the method is idempotent, or nothing was sent. That is counted as
  retried, too. What crashes or hangs needs that: it cannot go on until all have heard of its end.
"""

from __future__ import annotations

import collections
import contextlib
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio
import attrs

from tests.cluster.exchange import BrokenError, Connection, LateError, Response, connect

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from anyio.abc import TaskGroup

    from tests.cluster.service import Service

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})


@attrs.define
class Counts:
    """What became of requests of one kind."""

    sent: int = 0
    answered: int = 0
    retried: int = 0
    failures: list[str] = attrs.field(factory=list)

    def __str__(self) -> str:
        """In words, the commonest failures first."""
        text = f"{self.answered} of {self.sent} answered, {self.retried} retried"
        kinds = collections.Counter(self.failures).most_common(5)
        return "; ".join([text, *(f"{number} x {what}" for what, number in kinds)])


class RefusedError(BrokenError):
    """The answer says that there is none here and now."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"{response.status} {response.body.decode()}", heard=True)
        self.status = response.status


class Sender(Protocol):
    """Who sends requests of one kind."""

    async def send(self) -> None:
        """Send one, and count what becomes of it."""

    async def close(self) -> None:
        """Close what is kept."""


class Client:
    """Somebody who sends requests to a service, on new connections, or on such as he keeps."""

    def __init__(
        self,
        service: Service,
        method: str = "GET",
        path: str = "/",
        *,
        keeps: int = 0,
        timeout: float = 60,
    ) -> None:
        """Send nothing yet.

        Args:
            service: where to.
            method: of the requests.
            path: of the requests.
            keeps: how many connections are kept for the next requests.
            timeout: how long one attempt may take, in seconds.

        """
        self.counts = Counts()
        self.timeout = timeout
        """How long one attempt may take, in seconds; it may be changed between two."""
        self._service = service
        self._method = method
        self._path = path
        self._keeps = keeps
        self._kept: collections.deque[Connection] = collections.deque()

    async def send(self) -> None:
        """Send one request, and count what becomes of it."""
        self.counts.sent += 1
        tried: list[int] = []
        while True:
            connection: Connection | None = None
            try:
                connection = await self._connection(tried)
                response = await self._ask(connection)
                if not 200 <= response.status < 300:
                    raise RefusedError(response)
            except BrokenError as error:
                if self._may_retry(error, connection, tried):
                    self.counts.retried += 1
                    continue
                self.counts.failures.append(str(error))
            else:
                self.counts.answered += 1
            return

    async def close(self) -> None:
        """Close what is kept."""
        while self._kept:
            await self._kept.pop().close()

    async def _ask(self, connection: Connection) -> Response:
        try:
            return await connection.ask(self._method, self._path, within=self.timeout)
        finally:
            if connection.can_be_used and len(self._kept) < self._keeps:
                self._kept.append(connection)
            else:
                with anyio.CancelScope(shield=True):
                    await connection.close()

    async def _connection(self, tried: list[int]) -> Connection:
        while self._kept and not tried:  # what is tried again is, on a new connection
            # The one that has not been used for the longest time, so that all are.
            connection = self._kept.popleft()
            if connection.can_be_used:
                tried.append(connection.port)
                return connection
            await connection.close()
        port = self._where(tried)
        tried.append(port)
        return await connect(port)

    def _where(self, tried: list[int]) -> int:
        """Where to connect to."""
        return self._service.port

    def _may_retry(
        self, error: BrokenError, connection: Connection | None, tried: list[int]
    ) -> bool:
        was_kept = connection is not None and connection.used > 1
        was_closed = not error.heard and not isinstance(error, LateError)
        return was_kept and was_closed and len(tried) == 1 and self._method in IDEMPOTENT


class Proxy(Client):
    """A client that chooses the pod by itself, and asks another one where it gets no answer."""

    def _where(self, tried: list[int]) -> int:
        port = self._service.choose(tried)
        if port is None:
            raise BrokenError(f"nobody else is in rotation after {tried}", heard=False, sent=False)
        return port

    def _may_retry(
        self, error: BrokenError, connection: Connection | None, tried: list[int]
    ) -> bool:
        is_away = not error.heard or (isinstance(error, RefusedError) and error.status == 503)
        can_do_no_harm = not error.sent or self._method in IDEMPOTENT
        return is_away and can_do_no_harm and self._service.choose(tried) is not None


class Load:
    """What comes in, at fixed rates."""

    def __init__(self, tasks: TaskGroup) -> None:
        """Made by :func:`loaded`."""
        self._tasks = tasks
        self._senders: list[Sender] = []
        self._over = anyio.Event()

    def send(self, sender: Sender, *, rate: float) -> None:
        """Send so many a second, until the load ends."""
        self._senders.append(sender)
        self._tasks.start_soon(self._keep_sending, sender, 1 / rate)

    def run(self, follow: Callable[[anyio.Event], Coroutine[Any, Any, object]]) -> None:
        """Run something that is given an event, and ends when that is set."""
        self._tasks.start_soon(follow, self._over)

    async def _keep_sending(self, sender: Sender, interval: float) -> None:
        due = anyio.current_time()
        while not self._over.is_set():
            self._tasks.start_soon(sender.send)
            due += interval
            with anyio.CancelScope(deadline=due):
                await self._over.wait()

    def end(self) -> None:
        """Send no more."""
        self._over.set()

    async def close(self) -> None:
        """Close what those who sent have kept."""
        for sender in self._senders:
            await sender.close()


@contextlib.asynccontextmanager
async def loaded() -> AsyncGenerator[Load]:
    """Give a load; at the end of the `with` it ends, and all that was sent has been settled."""
    async with contextlib.AsyncExitStack() as stack, anyio.create_task_group() as tasks:
        load = Load(tasks)
        stack.push_async_callback(load.close)
        try:
            yield load
        finally:
            load.end()
