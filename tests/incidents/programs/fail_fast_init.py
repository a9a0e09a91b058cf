"""A service with a script that has to succeed before anything is started."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import lifecycle
from lifecycle import Lifetime, Registry, System, preflight, requires
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
SCRIPT = sys.argv[2]
OPTIONS: Any = {"tolerated": {"fail_on_error": False}, "short": {"timeout": 4}}
server = Registry("server")
server.preflight(preflight.command([SCRIPT], name="on_init", **OPTIONS.get(sys.argv[-1], {})))


@server.component
async def jobs() -> AsyncIterator[str]:
    """What RoadRunner calls a plugin."""
    say("jobs started")
    yield "jobs"
    say("jobs stopped")


@server.service
async def http(life: Lifetime, jobs: str = requires(jobs)) -> None:
    """What Kubernetes saw as healthy."""
    life.started()
    say("http started")
    await life.wait_draining()
    say("http drained")


@contextlib.asynccontextmanager
async def probes(system: System) -> AsyncIterator[None]:
    """What has started before the script runs."""
    say("probes started")
    yield
    say("probes stopped")


lifecycle.run(server, backend=BACKEND, companions=[probes])
