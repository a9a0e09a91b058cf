"""What a route is given: the value of a component, or the system."""

# No `from __future__ import annotations`: FastAPI reads the annotations of a callable object where
# it finds no globals to look names up in.

from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeAlias, TypeVar, cast

from fastapi import Depends, HTTPException, WebSocketException
from fastapi.requests import HTTPConnection

from lifecycle import Component, System
from lifecycle.asgi import NotReady, Scope, system_of
from lifecycle.errors import RunError

if TYPE_CHECKING:
    from lifecycle.component import Source

T = TypeVar("T")


class Provider(Generic[T]):
    """The dependency behind :func:`provide`: gives the value of a component to a call.

    Two of the same component are equal, so that a test can name what it replaces::

        api.dependency_overrides[Provider(database)] = FakePool
    """

    def __init__(self, component: "Source[T]", /) -> None:
        """Provide a component.

        Args:
            component: its handle.

        Raises:
            TypeError: it is none.

        """
        if not isinstance(component, Component):
            message = f"provide() takes a component, not {component!r}"
            if callable(component):
                message += ". Was it declared, as with @registry.component?"
            raise TypeError(message)
        self.component: Component[Any] = component

    async def __call__(self, connection: HTTPConnection) -> T:
        """Give the value of the component, in the system that the call belongs to.

        Raises:
            HTTPException: 503, if the component is not there; of a websocket WebSocketException.
            UnknownComponentError: it is no part of the system.
            LookupError: there is no system.

        """
        system = system_of(connection.scope)
        try:
            value: T = system[self.component]
        except RunError as error:
            raise _refusal(NotReady(error), connection.scope) from error
        return value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Provider):
            return NotImplemented
        return self.component is other.component

    def __hash__(self) -> int:
        return hash((Provider, self.component))

    def __repr__(self) -> str:
        return f"Provider({self.component!r})"


def provide(component: "Source[T]", /) -> T:
    """Fill a parameter of a route, or of a dependency, with the value of a component.

    To be used as its default, ``pool: Pool = provide(database)``, or in its annotation,
    ``Annotated[Pool, provide(database)]``. The value is looked up when the route is called, in the
    system to which the call belongs.

    Where the component is not ready, or has crashed, the client gets a 503 that names it, with
    ``Retry-After: 1``, since by then another replica can answer; where it was closed, also
    ``Connection: close``. A websocket is closed with code 1013, or 1012, before it is accepted.

    Args:
        component: its handle.

    Raises:
        TypeError: it is none.

    """
    return cast("T", Depends(Provider(component)))


async def _current_system(connection: HTTPConnection) -> System:
    return system_of(connection.scope)


CurrentSystem: TypeAlias = Annotated[System, Depends(_current_system)]
"""The system that a call belongs to: ``system: CurrentSystem``.

With it a stream ends itself, ``async for … in system.until_draining(…)``; a long answer asks
``system.draining``.
"""


def _refusal(answer: NotReady, scope: Scope) -> Exception:
    if scope["type"] == "websocket":
        return WebSocketException(answer.close_code, answer.reason)
    return HTTPException(answer.status_code, answer.content, answer.headers(scope))
