"""The probe server: HTTP on an address of its own, for as long as there is a system.

::

    probes = ProbeServer(":8081")
    lifecycle.run(shop, companions=[probes])
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final

import anyio
import attrs

from lifecycle.errors import SettingsError
from lifecycle.probes.bounds import Bounds
from lifecycle.probes.connection import Connection
from lifecycle.probes.crowd import Crowd
from lifecycle.probes.door import BACKLOG, Door
from lifecycle.probes.responses import Codes
from lifecycle.settings.address import EXPECTED, is_address, parse_address
from lifecycle.sockets import bind, listen

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

    from lifecycle import System

__all__ = ["ProbeServer"]

DEFAULT_ADDRESS: Final = ":8081"
_END: Final = 0.5
"""For how many seconds at the end answers that are being given may still take. A companion has at
most 1 s, or half of the close's reserve."""

_logger = logging.getLogger(__name__)


class ProbeServer:
    """Answers probes from before the first preflight check until after the last stop: a companion.

    It has an address of its own, so that it is there while the service's own server is not, and
    bounds of its own: slow, silent and broken clients cost little, and keep no probe out.

    Attributes:
        name: what it is called in events and reports.

    """

    name = "probes"

    def __init__(
        self,
        address: str | None = None,
        *,
        unavailable_code: int | None = None,
        health_while_shutting_down: int | None = 200,
        ready_while_shutting_down: int | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        """Say where to listen, and what to answer. Nothing is bound before the system runs.

        Args:
            address: ``HOST:PORT``, or ``:PORT`` for every interface; with port 0 a free one is
                chosen. By default that of `Settings.probes`, else ``:8081``.
            unavailable_code: the status code of a probe that is not ok; by default that of
                `Settings.unavailable_code`, which is 503.
            health_while_shutting_down: the code of ``/health`` once a shutdown was asked for. The
                default keeps a platform from killing what is still finishing its work; None: as
                before the shutdown.
            ready_while_shutting_down: the code of ``/ready`` likewise, where the start was done:
                one that is rolled back has never been ready; None: `unavailable_code`.
            bounds: what the port may cost.

        Raises:
            SettingsError: a value cannot be used.

        """
        if address is not None and not is_address(address):
            raise SettingsError("address", address, EXPECTED)
        given: Any = bounds
        if given is not None and not isinstance(given, Bounds):
            raise SettingsError("bounds", given, "lifecycle.probes.Bounds(…), or None")
        self._address = address
        self._has_code = unavailable_code is not None
        self._codes = Codes(
            unavailable_code=503 if unavailable_code is None else unavailable_code,
            health_while_shutting_down=health_while_shutting_down,
            ready_while_shutting_down=ready_while_shutting_down,
        )
        self._bounds = Bounds() if bounds is None else bounds
        self._addresses: tuple[tuple[str, int], ...] = ()

    @property
    def address(self) -> str | None:
        """Where it was told to listen; None: where `Settings.probes` says."""
        return self._address

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Host and port of each socket; empty before they are bound."""
        return self._addresses

    @property
    def port(self) -> int:
        """The port.

        Raises:
            RuntimeError: it is not bound yet.

        """
        if not self._addresses:
            message = "the port is not known before the system runs: nothing is bound yet"
            raise RuntimeError(message)
        return self._addresses[0][1]

    def __call__(self, system: System) -> AbstractAsyncContextManager[ProbeServer]:
        """Accompany a system."""
        return self._serving(system)

    @contextlib.asynccontextmanager
    async def _serving(self, system: System) -> AsyncGenerator[ProbeServer]:
        with contextlib.ExitStack() as at_the_end:
            listeners = await self._listen(system, at_the_end)
            crowd = Crowd(self._bounds)
            at_the_end.callback(crowd.reserve.give_up)
            codes = self._codes_for(system)
            async with anyio.create_task_group() as connections:

                def admit(connected: socket.socket, host: str) -> None:
                    connection = Connection(connected, host, crowd, system, codes)
                    crowd.enter(connection)
                    connections.start_soon(connection.run, name="lifecycle: a probe")

                doors = [Door(listener, crowd, admit) for listener in listeners]
                async with anyio.create_task_group() as entrance:
                    for door in doors:
                        entrance.start_soon(door.run, name="lifecycle: probes")
                    yield self
                    entrance.cancel_scope.cancel()
                for door in doors:
                    door.close()
                with anyio.move_on_after(_END):
                    await crowd.close()
                connections.cancel_scope.cancel()

    async def _listen(
        self, system: System, at_the_end: contextlib.ExitStack
    ) -> list[socket.socket]:
        address = self._address or system.settings.probes or DEFAULT_ADDRESS
        try:
            listeners = await bind(*parse_address(address))
            for one in listeners:
                at_the_end.enter_context(one)
            listen(listeners, BACKLOG)
        except OSError as error:
            message = (
                f"no probes at {address!r}: {error.strerror or error}. Free it, or choose another "
                "address: by LIFECYCLE_PROBES, Settings.probes, or the ProbeServer's own"
            )
            raise OSError(error.errno, message) from None
        self._addresses = tuple(one.getsockname()[:2] for one in listeners)
        where = ", ".join(_written(*one) for one in self._addresses)
        _logger.info("probes are answered at %s", where)
        return listeners

    def _codes_for(self, system: System) -> Codes:
        if self._has_code:
            return self._codes
        return attrs.evolve(self._codes, unavailable_code=system.settings.unavailable_code)


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
