"""What ``grpc.health.v1`` says of a system, whoever carries it.

Its services are: ``""`` and ``readiness``, which answer as ``/ready`` does; ``liveness``, as
``/health``; ``startup``, as ``/startup``; each component by its name: whether it is ready, whatever
the phase of the system; and the services of the server that carries it, by their full names, as
``readiness``.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import anyio
from grpc_health.v1 import health_pb2

from lifecycle.integrations._beside import beside
from lifecycle.probes import ask
from lifecycle.states import State

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from lifecycle import System
    from lifecycle.probes import Probe
    from lifecycle.report import ComponentStatus

_PROBES: Final[dict[str, Probe]] = {
    "": "ready",
    "readiness": "ready",
    "liveness": "health",
    "startup": "startup",
}
_LEAST_PAUSE: Final = 1.0
"""How many seconds one who watches leaves between two questions to the same checks."""
_ASK_AGAIN: Final = 5.0
"""After how many seconds those who watch have the checks asked again: by itself no check speaks."""


class Health:
    """Answers for one system, on its loop."""

    def __init__(self, system: System, services: Iterable[str] = ()) -> None:
        """Answer for a system.

        Args:
            system: the system.
            services: the full names of services that are served with it.

        """
        self._system = system
        self.services = set(services)
        self._changed = anyio.Event()
        self._is_over = False

    async def check(self, service: str) -> bool | None:
        """Say whether a service serves; None: there is no such service."""
        probe = _PROBES.get(service)
        if probe is not None:
            return (await ask(self._system, probe)).ok
        answer = await ask(self._system, "ready", (service,))
        if not answer.unknown:
            return _is_ready(answer.components[service])
        return (await ask(self._system, "ready")).ok if service in self.services else None

    async def watch(self, service: str) -> AsyncGenerator[bool | None]:
        """Say the same now, and whenever it has changed, until the end."""
        told: object = self
        while True:
            changed, is_over = self._changed, self._is_over
            asked_at, stood = anyio.current_time(), _stands(self._system)
            serves = await self.check(service)
            if serves is not told:
                told = serves
                yield serves
            if is_over:
                return
            with anyio.move_on_after(_ASK_AGAIN):
                await changed.wait()
            # What a check has just said wakes those who watch, and they are not to ask it again at
            # once; what else is new is told at once.
            while not self._is_over and _stands(self._system) == stood:
                left = asked_at + _LEAST_PAUSE - anyio.current_time()
                if left <= 0:
                    break
                with anyio.move_on_after(left):
                    await self._changed.wait()

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncGenerator[None]:
        """Follow what becomes of the system, so that those who watch are told."""
        scope = anyio.CancelScope()

        async def follow() -> None:
            with scope:
                async for _ in self._system.changes():
                    self._tell()

        async with beside(follow, "lifecycle: grpc health"):
            try:
                yield
            finally:
                scope.cancel()

    def end(self) -> None:
        """Let those who watch go."""
        self._is_over = True
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _stands(system: System) -> object:
    """How it stands, but for what its checks say."""
    status = system.status()
    parts = [(one.state, one.unavailable) for one in status.components.values()]
    return status.phase, status.reason, parts


def _is_ready(component: ComponentStatus) -> bool:
    # Its own state: that the system is not ready, or shuts down, is said by `readiness`.
    return (
        component.state is State.READY
        and component.unavailable is None
        and all(check.ok for check in component.checks)
    )


def response(serves: bool | None) -> health_pb2.HealthCheckResponse:  # noqa: FBT001  it is what is said
    """Put it into the words of the protocol."""
    if serves is None:
        return health_pb2.HealthCheckResponse(status="SERVICE_UNKNOWN")
    return health_pb2.HealthCheckResponse(status="SERVING" if serves else "NOT_SERVING")


def unknown(service: str) -> str:
    """Say that there is no such service."""
    return f"there is no service, and no component, of the name {service!r}"
