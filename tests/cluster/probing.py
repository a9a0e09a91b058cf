"""How a kubelet comes to its verdicts: it asks again and again, and counts answers in a row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import anyio

from tests.cluster import container
from tests.cluster.exchange import BrokenError, connected
from tests.cluster.spec import Exec, TcpSocket

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from tests.cluster.spec import Action, Ports, Probe


class Verdict:
    """What was answered often enough in a row; None as long as nothing was."""

    def __init__(self, probe: Probe) -> None:
        """Begin to count."""
        self._thresholds = {True: probe.success_threshold, False: probe.failure_threshold}
        self._last: bool | None = None
        self._in_a_row = 0

    def after(self, answer: bool) -> bool | None:  # noqa: FBT001  it is the one thing told
        """Count an answer; give the verdict where there are enough of its kind."""
        self._in_a_row = self._in_a_row + 1 if answer is self._last else 1
        self._last = answer
        return answer if self._in_a_row >= self._thresholds[answer] else None


async def verdicts(probe: Probe, ports: Ports, env: Mapping[str, str]) -> AsyncGenerator[bool]:
    """Ask for as long as somebody wants to know, and give each verdict that is reached."""
    verdict = Verdict(probe)
    due = anyio.current_time() + probe.initial_delay
    while True:
        await anyio.sleep_until(due)
        reached = verdict.after(await _is_answered(probe, ports, env))
        if reached is not None:
            yield reached
        # A probe that took longer than the period leaves out those that were due meanwhile.
        missed = math.floor((anyio.current_time() - due) / probe.period)
        due += (missed + 1) * probe.period


async def _is_answered(probe: Probe, ports: Ports, env: Mapping[str, str]) -> bool:
    with anyio.move_on_after(probe.timeout):
        return await succeeds(probe.asks, ports, env)
    return False


async def succeeds(action: Action, ports: Ports, env: Mapping[str, str]) -> bool:
    """Do what a probe or a hook says, once."""
    if isinstance(action, Exec):
        return await container.run(action.command, env) == 0
    try:
        async with connected(ports[action.port]) as connection:
            if isinstance(action, TcpSocket):
                return True
            response = await connection.ask("GET", action.path)
            return 200 <= response.status < 400
    except BrokenError:
        return False
