"""Some alike pods behind a service: started, rolled over to new ones, deleted."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import anyio

from tests.cluster.kubelet import Pod
from tests.cluster.service import serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from anyio.abc import TaskGroup

    from tests.cluster.service import Service
    from tests.cluster.spec import PodSpec

GENEROUS: Final = 90.0
"""How long anything is waited for, in seconds: what takes longer on a slow machine is broken."""


class Deployment:
    """A number of pods of one kind."""

    def __init__(self, tasks: TaskGroup, spec: PodSpec, service: Service) -> None:
        """Made by :func:`deployed`."""
        self.service = service
        self.pods: list[Pod] = []
        """Those that are there, without those that were deleted."""
        self.all_pods: list[Pod] = []
        """Every one that there has been, in the order of their creation."""
        self._tasks = tasks
        self._spec = spec

    async def start(self, replicas: int) -> None:
        """Start pods, and wait until all are ready."""
        await self.wait(*[self._create().wait_ready for _ in range(replicas)])

    async def roll(self) -> None:
        """Replace each pod by a new one, as with `maxSurge: 1` and `maxUnavailable: 0`.

        The next one is created when the one before is ready and its predecessor was told to end;
        that it has ended is not waited for. At the end they all have.
        """
        old = list(self.pods)
        for pod in old:
            await self.wait(self._create().wait_ready)
            self.delete(pod)
        await self.wait(*[pod.gone.wait for pod in old])

    def delete(self, pod: Pod) -> None:
        """Ask for the end of a pod."""
        self.pods.remove(pod)
        pod.delete()

    async def delete_all(self) -> None:
        """Delete all pods, and wait until they are gone."""
        pods = list(self.pods)
        for pod in pods:
            self.delete(pod)
        await self.wait(*[pod.gone.wait for pod in pods])

    async def wait(self, *waits: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Wait for all of something, generously; where that is of no use, say what pods said."""
        with anyio.move_on_after(GENEROUS):
            async with anyio.create_task_group() as tasks:
                for wait in waits:
                    tasks.start_soon(wait)
            return
        raise AssertionError(f"it took more than {GENEROUS:g} s\n{self.said()}")

    def said(self) -> str:
        """What all pods have written, for people."""
        return "\n".join(pod.said() for pod in self.all_pods)

    def _create(self) -> Pod:
        pod = Pod(f"pod-{len(self.all_pods)}", self._spec, self.service.follow)
        self.pods.append(pod)
        self.all_pods.append(pod)
        self._tasks.start_soon(pod.run)
        return pod


@contextlib.asynccontextmanager
async def deployed(
    spec: PodSpec, *, port: str, replicas: int, lag: float
) -> AsyncGenerator[Deployment]:
    """Start pods behind a service; at the end nothing of them is left.

    Args:
        spec: what each is to be.
        port: the name of their port that the service leads to.
        replicas: how many there are.
        lag: how much later than its SIGTERM a pod gets no more connections.

    """
    async with serving(port, lag) as service, anyio.create_task_group() as tasks:
        deployment = Deployment(tasks, spec, service)
        try:
            await deployment.start(replicas)
            yield deployment
        finally:
            tasks.cancel_scope.cancel()
