"""A small kubelet: it runs a pod, asks its probes, restarts its container, and ends it.

What it does is what Kubernetes documents, and its source does where the documentation leaves room:
`kuberuntime_container.go` for the end of a container, `prober/worker.go` for the probes.
"""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Final

import anyio
import attrs

from tests.cluster.container import running
from tests.cluster.probing import succeeds, verdicts
from tests.cluster.spec import Ports

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tests.cluster.container import Container
    from tests.cluster.spec import PodSpec, Probe

LEAST_GRACE: Final = 2.0
"""What a container has after its SIGTERM, even if its preStop hook has used up all its time."""


@attrs.frozen
class Ended:
    """How one run of a container has ended."""

    exit_code: int
    asked_by: str | None
    """"deletion", "liveness", "startup", or nobody."""
    was_killed: bool
    """Whether it had to be: SIGKILL, at the end of its grace period."""
    took: float | None
    """How long it took from the SIGTERM on, in seconds, where there was one."""


class Pod:
    """One pod, from its creation until its container has ended after its deletion."""

    def __init__(self, name: str, spec: PodSpec, on_readiness: Callable[[Pod], object]) -> None:
        """Reserve its ports.

        Args:
            name: how it is called.
            spec: what it is to be.
            on_readiness: told whenever it begins, or ceases, to be one that traffic may go to.

        """
        self.name = name
        self.ports = Ports.reserve(spec.ports)
        self.output: list[str] = []
        self.history: list[Ended] = []
        """How the runs of its container have ended."""
        self.is_ready = False
        """Whether traffic may go to it."""
        self.spec = spec
        self.env = {**spec.env(self.ports)}
        self.deleted = anyio.Event()
        self.gone = anyio.Event()
        self._on_readiness = on_readiness
        self._container: Container | None = None
        self._changed = anyio.Event()

    async def run(self) -> None:
        """Run its container, again and again, until it is deleted."""
        try:
            while not self.deleted.is_set():
                async with running(self.spec.command(self.ports), self.env, self.output) as one:
                    self._container = one
                    ended = await _Run(self, one).run()
                self.history.append(ended)
                self.be_ready(False)
                with anyio.move_on_after(self.spec.restart_delay):
                    await self.deleted.wait()
        finally:
            self.ports.release()
            self.gone.set()
            self._tell()

    def delete(self) -> None:
        """Ask for its end."""
        self.deleted.set()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to its container, which has to run, past everybody."""
        assert self._container is not None
        self._container.send(number)

    async def wait_ready(self) -> None:
        """Wait until traffic may go to it."""
        while not self.is_ready:
            await self._changed.wait()

    async def wait_not_ready(self) -> None:
        """Wait until it may not."""
        while self.is_ready:
            await self._changed.wait()

    async def wait_ended(self) -> None:
        """Wait until a run of its container has ended, for the first time."""
        while not self.history:
            await self._changed.wait()

    async def wait_restarted(self) -> None:
        """Wait for that, and until it is ready again."""
        await self.wait_ended()
        await self.wait_ready()

    def said(self) -> str:
        """What it has written, for people."""
        return "\n".join([f"--- {self.name}: {self.history}", *self.output])

    def be_ready(self, is_ready: bool) -> None:  # noqa: FBT001  it is the one thing told
        """Begin, or cease, to be one that traffic may go to."""
        if is_ready is not self.is_ready:
            self.is_ready = is_ready
            self._on_readiness(self)
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


class _Run:
    """One run of a pod's container."""

    def __init__(self, pod: Pod, container: Container) -> None:
        self._pod = pod
        self._spec = pod.spec
        self._container = container
        self._ending = anyio.Event()
        self._asked_by: str | None = None
        self._exit_code = 0
        self._was_killed = False
        self._signalled_at: float | None = None

    async def run(self) -> Ended:
        """Look after the container, and tell how it has ended."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._probe)
            tasks.start_soon(self._wait_for_deletion)
            tasks.start_soon(self._end_when_asked)
            self._exit_code = await self._container.wait()
            tasks.cancel_scope.cancel()
        took = None if self._signalled_at is None else anyio.current_time() - self._signalled_at
        return Ended(self._exit_code, self._asked_by, self._was_killed, took)

    def _end(self, asked_by: str) -> None:
        if not self._ending.is_set():
            self._asked_by = asked_by
            self._ending.set()

    async def _wait_for_deletion(self) -> None:
        await self._pod.deleted.wait()
        self._end("deletion")

    # --- probes -----------------------------------------------------------------------------------

    async def _probe(self) -> None:
        """Nothing else is asked before it has started."""
        if not await self._has_started():
            self._end("startup")
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_liveness)
            tasks.start_soon(self._watch_readiness)

    async def _has_started(self) -> bool:
        if self._spec.startup is None:
            return True
        async with self._verdicts(self._spec.startup) as reached:
            return await anext(reached)

    async def _watch_liveness(self) -> None:
        """It is not asked any more once it ends, whoever wants that."""
        if self._spec.liveness is None:
            return
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._cancel_when_ending, scope)
                async with self._verdicts(self._spec.liveness) as reached:
                    async for is_alive in reached:
                        if not is_alive:
                            self._end("liveness")

    async def _cancel_when_ending(self, scope: anyio.CancelScope) -> None:
        await self._ending.wait()
        scope.cancel()

    async def _watch_readiness(self) -> None:
        """It is asked until the end, and counts until a deletion."""
        if self._spec.readiness is None:
            self._be_ready(True)
            return
        async with self._verdicts(self._spec.readiness) as reached:
            async for is_ready in reached:
                self._be_ready(is_ready)

    def _be_ready(self, is_ready: bool) -> None:  # noqa: FBT001  it is the one thing told
        if not self._pod.deleted.is_set() or not is_ready:
            self._pod.be_ready(is_ready)

    def _verdicts(self, probe: Probe) -> contextlib.aclosing[AsyncGenerator[bool]]:
        return contextlib.aclosing(verdicts(probe, self._pod.ports, self._pod.env))

    # --- the end ----------------------------------------------------------------------------------

    async def _end_when_asked(self) -> None:
        await self._ending.wait()
        began = anyio.current_time()
        grace = self._spec.termination_grace_period
        if self._spec.pre_stop is not None:
            with anyio.move_on_after(grace):
                await succeeds(self._spec.pre_stop, self._pod.ports, self._pod.env)
        left = max(grace - (anyio.current_time() - began), LEAST_GRACE)
        self._signalled_at = anyio.current_time()
        self._container.send(signal.SIGTERM)
        if self._pod.deleted.is_set():
            # Kubernetes tells those who route already when a preStop hook begins. Here nobody gets
            # that much of a head start: who does well so does better there.
            self._pod.be_ready(False)
        with anyio.move_on_after(left):
            await self._container.ended.wait()
            return
        self._was_killed = True
        self._container.kill()
