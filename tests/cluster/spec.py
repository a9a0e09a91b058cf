"""What a pod is to be, in the words of Kubernetes: its command, its probes, how it is ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

from tests.ports import hold

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence


@attrs.frozen
class HttpGet:
    """Ask for a path; 200 to 399 is a success."""

    port: str
    """By its name."""
    path: str


@attrs.frozen
class Exec:
    """Run a command; exit code 0 is a success."""

    command: Sequence[str]


@attrs.frozen
class TcpSocket:
    """Connect; who can has succeeded."""

    port: str


Action: TypeAlias = HttpGet | Exec | TcpSocket


@attrs.frozen(kw_only=True)
class Probe:
    """What is asked, how often, and how many answers in a row decide; the defaults are theirs."""

    asks: Action
    initial_delay: float = 0
    period: float = 10
    timeout: float = 1
    success_threshold: int = 1
    failure_threshold: int = 3


@attrs.frozen
class Ports:
    """The ports of one pod, by name. They are its own, like an address, for as long as it lives.

    Each is held by a socket that never listens, so that nobody else gets it while the container
    is away: who connects then is refused.
    """

    _held: Mapping[str, socket.socket]

    @classmethod
    def reserve(cls, names: Sequence[str]) -> Ports:
        """Find ports that are free."""
        return cls({name: hold() for name in names})

    def __getitem__(self, name: str) -> int:
        port: int = self._held[name].getsockname()[1]
        return port

    def release(self) -> None:
        """Let go of them."""
        for held in self._held.values():
            held.close()


@attrs.frozen(kw_only=True)
class PodSpec:
    """A pod with one container."""

    command: Callable[[Ports], Sequence[str]]
    env: Callable[[Ports], Mapping[str, str]] = lambda _: {}
    ports: Sequence[str]
    startup: Probe | None = None
    liveness: Probe | None = None
    readiness: Probe | None = None
    pre_stop: Action | None = None
    termination_grace_period: float = 30
    restart_delay: float = 0.5
    """How long a container that has ended stays away: Kubernetes has 10 s, doubled each time."""
