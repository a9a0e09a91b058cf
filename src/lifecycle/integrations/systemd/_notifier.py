"""The companion that tells systemd how a system stands."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from typing import TYPE_CHECKING, Final

import anyio

from lifecycle import probes
from lifecycle.integrations.systemd._channel import Channel
from lifecycle.integrations.systemd._environment import taken
from lifecycle.integrations.systemd._message import Message, address_of
from lifecycle.integrations.systemd._narrator import Narrator
from lifecycle.states import Phase

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from contextlib import AbstractAsyncContextManager

    from lifecycle import System
    from lifecycle.integrations.systemd._environment import Environment
    from lifecycle.report import Status

logger = logging.getLogger("lifecycle.systemd")

_LAST_WORDS: Final = 0.25
"""How long the last messages may wait for room, in seconds."""

_PAUSE: Final = 0.000_05
"""How long it looks away after each look, for each component, in seconds.

A look costs about a tenth of that; without a pause, one at each change would cost a system of
thousands of components more than its start."""

_RETRIES: Final = 4
"""How much more often the checks are asked while they fail: before systemd acts, they have failed
several times in a row."""


def notifier() -> Notifier:
    """Make a companion that tells systemd how the system stands: for a unit of ``Type=notify``.

    ::

        lifecycle.run(shop, companions=[systemd.notifier()])

    It does nothing where systemd has not asked for it (``NOTIFY_SOCKET`` is not set). It never
    blocks the event loop, and nothing that goes wrong on the way to systemd harms the system.

    * ``READY=1`` when the start is done, and not before. systemd knows no way to take that back:
      what is lost later shows in the status.
    * ``STOPPING=1`` from the first moment of a shutdown.
    * ``STATUS=``: how it stands, in a line that ``systemctl status`` shows; at most one a second.
      It has names and types, and no messages, which may hold secrets.
    * ``EXTEND_TIMEOUT_USEC=`` during start and shutdown, as long as `lifecycle` would still wait:
      for hooks that are within their time, for preflight checks that have a timeout, and within
      the grace period. It covers 10 s at most and is said anew after 5 s, so that a blocked loop
      is noticed.
    * ``WATCHDOG=1`` at half of the unit's ``WatchdogSec``, while the liveness checks pass, and, in
      start and shutdown, as long as `lifecycle` would still wait. It is sent from the event loop,
      so that one that is blocked sends none.

    While the system runs, ``NOTIFY_SOCKET``, ``WATCHDOG_PID`` and ``WATCHDOG_USEC`` are not in
    ``os.environ``: processes that are started meanwhile are not to speak in this one's name.
    """
    return Notifier()


class Notifier:
    """Tells systemd how a system stands; made by :func:`notifier`."""

    name = "systemd"

    def __call__(self, system: System) -> AbstractAsyncContextManager[None]:
        """Accompany a system."""
        return _accompanying(system)


@contextlib.asynccontextmanager
async def _accompanying(system: System) -> AsyncGenerator[None]:
    with taken(os.environ) as environment:
        address = _address(environment)
        if address is None:
            yield
            return
        with contextlib.closing(Channel(address)) as channel:
            async with anyio.create_task_group() as sending:
                sending.start_soon(channel.run, name="lifecycle: systemd: send")
                conversation = _Conversation(system, channel)
                async with anyio.create_task_group() as talking:
                    talking.start_soon(conversation.follow, name="lifecycle: systemd: tell")
                    if environment.watchdog is not None:
                        _warn_of_haste(environment.watchdog, system.settings.check_timeout)
                        ping = functools.partial(conversation.ping, environment.watchdog / 2)
                        talking.start_soon(ping, name="lifecycle: systemd: watchdog")
                    yield
                    talking.cancel_scope.cancel()
                conversation.conclude()
                with anyio.move_on_after(_LAST_WORDS):
                    await channel.flushed()
                sending.cancel_scope.cancel()


class _Conversation:
    """What is said to systemd of one system."""

    def __init__(self, system: System, channel: Channel) -> None:
        checks_end = anyio.current_time() + _longest(system.plan.checks)
        self._system = system
        self._channel = channel
        self._narrator = Narrator(system.settings, checks_end)

    async def follow(self) -> None:
        """Tell what is new, until nothing is any more."""
        changes = self._system.changes()
        pause = _PAUSE * len(self._system.plan.components)
        while True:
            status: Status | None = None
            try:
                with anyio.move_on_after(self._narrator.look_again):
                    status = await changes.__anext__()
            except StopAsyncIteration:
                return
            if status is None:  # nothing has changed, but time has passed
                status = self._system.status()
            self._send(self._narrator.tell(status, anyio.current_time()))
            # While it runs little changes, and what comes next may be the end: to be said before
            # a hook can block the loop.
            if status.phase is not Phase.RUNNING:
                await anyio.sleep(pause)

    async def ping(self, interval: float) -> None:
        """Say again and again that it is alive, as long as it is."""
        while True:
            began = anyio.current_time()
            is_well = await self._is_well()
            if is_well:
                self._channel.send(Message(watchdog=True))
            await anyio.sleep_until(began + (interval if is_well else interval / _RETRIES))

    def conclude(self) -> None:
        """Say how it went."""
        self._send(self._narrator.conclude(self._system.status(), anyio.current_time()))

    async def _is_well(self) -> bool:
        answer = await probes.ask(self._system, "health")
        return (
            answer.ok
            and self._narrator.time_allowed(self._system.status(), anyio.current_time()) > 0
        )

    def _send(self, messages: list[Message]) -> None:
        for message in messages:
            self._channel.send(message)


def _longest(checks: Iterable[object]) -> float:
    """How long preflight checks may take, as far as they say so: ``command`` and ``tcp`` do."""
    limits = [getattr(check, "timeout", None) for check in checks]
    return max((limit for limit in limits if isinstance(limit, (int, float))), default=0.0)


def _address(environment: Environment) -> str | None:
    if environment.address is None:
        return None
    try:
        return address_of(environment.address)
    except ValueError as error:
        logger.warning("NOTIFY_SOCKET cannot be used, so that systemd is told nothing: %s", error)
        return None


def _warn_of_haste(watchdog: float, check_timeout: float) -> None:
    if watchdog <= 2 * check_timeout:
        message = (
            "WatchdogSec is %g s, and a liveness check may take %g s (check_timeout): systemd may "
            "end the service although all is well. Give it more than twice the check_timeout"
        )
        logger.warning(message, watchdog, check_timeout)
