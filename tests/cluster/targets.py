"""What is rolled over: the same app on several servers, bare, and as a component of a system."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from tests.cluster.spec import Action, Exec, HttpGet, PodSpec, Probe, TcpSocket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.cluster.spec import Ports

ROOT: Final = Path(__file__).parents[2]
WEB: Final = "tests.cluster.programs.web:api"


@attrs.frozen
class Target:
    """Something to be rolled over."""

    name: str
    spec: PodSpec
    speaks: str = "http"


def _bare(
    name: str,
    *arguments: str,
    asks: Action = HttpGet("http", "/"),  # noqa: B008  it is frozen
    speaks: str = "http",
) -> Target:
    """Give a server as it comes, which is asked at its own port whether it is there."""

    def command(ports: Ports) -> Sequence[str]:
        port = str(ports["http"])
        return [sys.executable, *(part.replace("PORT", port) for part in arguments)]

    return Target(
        name,
        PodSpec(
            command=command,
            env=lambda _: {"PYTHONPATH": str(ROOT)},
            ports=["http"],
            startup=Probe(asks=asks, period=0.25, failure_threshold=240),
            liveness=Probe(asks=asks, period=5, timeout=5),
            readiness=Probe(asks=asks, period=0.5, timeout=5),
            termination_grace_period=12,
        ),
        speaks,
    )


def _program(name: str) -> str:
    return str(Path(__file__).parent / "programs" / name)


def _ours(
    name: str,
    *arguments: str,
    speaks: str = "http",
    drain_delay: float = 5,
    pre_stop: Action | None = None,
) -> Target:
    """Give a system, which is asked at the port for that."""

    def command(ports: Ports) -> Sequence[str]:
        return [sys.executable, *(part.replace("PORT", str(ports["http"])) for part in arguments)]

    return Target(
        name,
        PodSpec(
            command=command,
            env=lambda ports: {
                "PYTHONPATH": str(ROOT),
                "LIFECYCLE_PROBES": f"127.0.0.1:{ports['probes']}",
                "LIFECYCLE_DRAIN_DELAY": f"{drain_delay}",
                "LIFECYCLE_GRACE_PERIOD": "25",
            },
            ports=["http", "probes"],
            startup=Probe(asks=HttpGet("probes", "/startup"), period=0.25, failure_threshold=240),
            liveness=Probe(asks=HttpGet("probes", "/health"), period=5, timeout=5),
            readiness=Probe(asks=HttpGet("probes", "/ready"), period=0.5, timeout=5),
            pre_stop=pre_stop,
            termination_grace_period=30,
        ),
        speaks,
    )


def _grpc(clients: str, speaks: str) -> tuple[Target, Target]:
    """Give a gRPC server, bare and not."""
    port = TcpSocket("http")
    return (
        _bare(
            f"grpc.aio, clients {clients}",
            *(_program("bare_grpc.py"), "PORT"),
            asks=port,
            speaks=speaks,
        ),
        _ours(
            f"grpc.aio, host, clients {clients}",
            *(_program("hosted_grpc.py"), "PORT"),
            speaks=speaks,
        ),
    )


DRAIN: Final = Exec((sys.executable, "-m", "lifecycle", "drain"))
"""What takes a server out of rotation that cannot be told to wait."""
GUEST: Final = "tests.cluster.programs.guest:api"
UVICORN_WORKER: Final = ("--worker-class", "uvicorn_worker.UvicornWorker")

TARGETS: Final = (
    _bare("uvicorn", "-m", "uvicorn", WEB, "--port", "PORT"),
    _ours("uvicorn, host", _program("hosted.py"), "uvicorn", "PORT"),
    _ours("uvicorn, guest", "-m", "uvicorn", GUEST, "--port", "PORT"),
    _bare("gunicorn", "-m", "gunicorn", WEB, "--bind", "127.0.0.1:PORT", *UVICORN_WORKER),
    _ours("gunicorn, guest", "-m", "gunicorn", GUEST, "--bind", "127.0.0.1:PORT", *UVICORN_WORKER),
    _bare("hypercorn", "-m", "hypercorn", WEB, "--bind", "127.0.0.1:PORT"),
    _ours(
        "hypercorn, guest",
        *("-m", "hypercorn", GUEST, "--bind", "127.0.0.1:PORT", "--graceful-timeout", "20"),
        pre_stop=DRAIN,
    ),
    _ours("hypercorn, host", _program("hosted.py"), "hypercorn", "PORT"),
    _bare("granian", "-m", "granian", "--interface", "asgi", "--port", "PORT", WEB),
    _ours(
        "granian, guest",
        *("-m", "granian", "--interface", "asgi", "--port", "PORT", GUEST),
        pre_stop=DRAIN,
    ),
    _ours("granian, host", _program("hosted.py"), "granian", "PORT"),
    *_grpc("as they come", "grpc"),
    *_grpc("that retry", "grpc, retrying"),
    _ours(
        "grpc.aio, host, aging",
        *(_program("hosted_grpc.py"), "PORT", "3"),
        speaks="grpc",
        drain_delay=8,
    ),
)
