"""What the user has said of a server, and what follows from it in a run."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs
import grpc

from lifecycle.integrations.grpc._barrier import Barrier
from lifecycle.integrations.grpc._calls import Calls
from lifecycle.integrations.grpc._health import Health

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lifecycle import Component, Lifetime

AnyServer = TypeVar("AnyServer")

_OWN_PORT = "grpc.so_reuseport"


@attrs.frozen
class Declared(Generic[AnyServer]):
    """How a server is to be."""

    register: Callable[[AnyServer], object]
    has_health: bool
    requires: Sequence[Component[Any]] | None
    options: Mapping[str, Any]
    """What is passed on to gRPC."""

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
        arguments["options"] = channel_arguments(arguments.get("options") or ())
        return arguments

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
