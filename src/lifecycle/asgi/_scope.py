"""The words of ASGI, and the place in a scope where the system stands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from lifecycle import System

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

STATE_KEY = "lifecycle"
"""Under this key of ``scope["state"]`` stands the system: ``request.state.lifecycle``.

The servers of :mod:`lifecycle.integrations` put it there, and so do :class:`InFlight`, and
:func:`lifecycle.integrations.fastapi.attach` in tests.
"""


def system_of(scope: Scope) -> System:
    """Find the system that a call belongs to.

    Args:
        scope: that of the call; in Starlette and FastAPI ``request.scope``.

    Raises:
        LookupError: there is none; the message says who could have put it there.

    """
    system = found(scope)
    if system is None:
        message = (
            f"no system stands in scope['state'][{STATE_KEY!r}] of {scope.get('path')!r}: serve "
            "the app with a server of lifecycle.integrations; make it a guest of another one, by "
            "lifecycle.integrations.guest; or wrap it in lifecycle.asgi.InFlight(app, system). In "
            "a test without a server, call lifecycle.integrations.fastapi.attach(app, system)"
        )
        raise LookupError(message)
    return system


def found(scope: Scope) -> System | None:
    """Find the system that a call belongs to; None where there is none."""
    state: dict[str, Any] = scope.get("state") or {}
    system: System | None = state.get(STATE_KEY)
    return system


def with_system(scope: Scope, system: System) -> Scope:
    """Give a scope in which a system stands, unless one stood there before."""
    return {**scope, "state": {STATE_KEY: system, **(scope.get("state") or {})}}


def is_http1(scope: Scope) -> bool:
    """Whether connections are closed by a header; HTTP/2 has none for that."""
    return str(scope.get("http_version", "1.1")).startswith("1")
