"""What the user has said of a server, and what follows from it in a run."""

from __future__ import annotations

import inspect
import logging
import math
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import attrs
import grpc

from lifecycle.errors import SettingsError
from lifecycle.integrations.grpc._barrier import Barrier
from lifecycle.integrations.grpc._calls import Calls
from lifecycle.integrations.grpc._health import Health

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lifecycle import Component, Lifetime

AnyServer = TypeVar("AnyServer")

_OWN_PORT: Final = "grpc.so_reuseport"
_AGE: Final = "grpc.max_connection_age_ms"
_JITTER: Final = 1.1
"""How much older a connection can become: gRPC spreads their ends by a tenth, either way."""

_logger = logging.getLogger(__name__)


@attrs.frozen
class Declared(Generic[AnyServer]):
    """How a server is to be."""

    register: Callable[[AnyServer], object]
    has_health: bool
    requires: Sequence[Component[Any]] | None
    options: Mapping[str, Any]
    """What is passed on to gRPC."""
    connection_age: float | None
    """After how many seconds a client is to connect anew; None: never."""

    def __attrs_post_init__(self) -> None:
        if self.connection_age is None:
            return
        if not 0 < self.connection_age < math.inf:
            expected = "a number of seconds, more than 0, or None"
            raise SettingsError("connection_age", self.connection_age, expected)
        if any(name == _AGE for name, _ in self.options.get("options") or ()):
            message = f"say `connection_age` or gRPC's {_AGE!r}, and not both"
            raise TypeError(message)

    def calls(self, life: Lifetime[Any] | None) -> Calls:
        """Make what counts the calls of one run."""
        return Calls(life, None if life is None else Barrier(life.system, self.requires))

    def health(self, life: Lifetime[Any] | None) -> Health | None:
        """Make what answers for the system of one run."""
        if life is None or not self.has_health:
            return None
        return Health(life.system, _services_of(self.options.get("handlers") or ()))

    def arguments(self, outermost: Any) -> dict[str, Any]:
        """Give what gRPC makes the server with: an interceptor of ours goes before all others."""
        arguments = dict(self.options)
        arguments["interceptors"] = [outermost, *(arguments.get("interceptors") or ())]
        said = channel_arguments(arguments.get("options") or ())
        if self.connection_age is not None:
            said.append((_AGE, max(1, round(self.connection_age * 1000))))
        arguments["options"] = said
        return arguments

    def look_at_delay(self, life: Lifetime[Any] | None) -> None:
        """Say where the drain delay is too short for all connections to be given up meanwhile."""
        if life is None or self.connection_age is None:
            return
        delay, oldest = life.system.settings.drain_delay, self.connection_age * _JITTER
        if 0 < delay < oldest:
            _logger.warning(
                "%s: its connections are given up when they are %.3g s old, and the drain delay is "
                "%.3g s: clients that keep one will be refused. Let the delay be longer, by as "
                "much as the load balancer takes to hear of the end",
                life.name,
                oldest,
                delay,
            )

    async def add_servicers(self, server: Any, health: Health | None) -> None:
        """Let the user add servicers to a server, and the health service know their names."""
        add = server.add_generic_rpc_handlers

        def add_and_note(generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
            handlers = tuple(generic_rpc_handlers)
            if health is not None:
                health.services |= _services_of(handlers)
            add(handlers)

        # gRPC tells nobody what was added, so that is noted on the way.
        server.add_generic_rpc_handlers = add_and_note
        added = self.register(server)
        if inspect.isawaitable(added):
            await added


def channel_arguments(given: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Add to what the user has said that nobody else may listen at the same port.

    By default gRPC lets several servers share one, and then each gets some of the connections.
    """
    said = list(given)
    return said if any(name == _OWN_PORT for name, _ in said) else [(_OWN_PORT, 0), *said]


def _services_of(handlers: Iterable[grpc.GenericRpcHandler]) -> set[str]:
    found = (one for one in handlers if isinstance(one, grpc.ServiceRpcHandler))
    return {name for one in found if (name := one.service_name())}
