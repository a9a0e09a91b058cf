"""The example, as Kubernetes runs it: real processes, asked and ended by a kubelet, under load.

Whoever routes learns of the end of a pod 2 s late.
"""

from __future__ import annotations

import re
import signal
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from tests.cluster.deployment import deployed
from tests.cluster.load import Client, Proxy, loaded
from tests.cluster.spec import Exec, HttpGet, PodSpec, Probe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.cluster.deployment import Deployment
    from tests.cluster.kubelet import Pod
    from tests.cluster.spec import Ports

MAIN = Path(__file__).parents[2] / "examples" / "shop" / "main.py"
TROUBLED = Path(__file__).parent / "programs" / "troubled_shop.py"
CRASH, HANG, HANG_IN_C = signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH

LAG = 2.0


def shop(
    folder: Path,
    program: Path,
    *,
    drain_delay: float = 7,
    grace_period: float = 25,
    margin: float = 2,
) -> PodSpec:
    """Describe its pods, as a manifest would.

    Args:
        folder: where they have their databases.
        program: what is run.
        drain_delay: for how long it serves although it is to end: far longer than the lag.
        grace_period: what the shop plans with.
        margin: how much more Kubernetes grants: its time begins earlier, with the preStop hook.

    """

    def env(ports: Ports) -> Mapping[str, str]:
        return {
            "SHOP_PORT": str(ports["http"]),
            "SHOP_DATA": tempfile.mkdtemp(dir=folder),
            "LIFECYCLE_PROBES": f"127.0.0.1:{ports['probes']}",
            "LIFECYCLE_DRAIN_DELAY": f"{drain_delay}",
            "LIFECYCLE_GRACE_PERIOD": f"{grace_period}",
        }

    return PodSpec(
        command=lambda _: (sys.executable, str(program)),
        env=env,
        ports=("http", "probes"),
        startup=Probe(asks=HttpGet("probes", "/startup"), period=0.25, failure_threshold=240),
        # Far more patient than a kubelet: a pod that only waits for its turn on a busy machine is
        # not to be taken for one that hangs.
        liveness=Probe(asks=HttpGet("probes", "/health"), period=1, timeout=4, failure_threshold=3),
        readiness=Probe(
            asks=HttpGet("probes", "/ready"), period=0.5, timeout=2, failure_threshold=2
        ),
        pre_stop=Exec(("sleep", "0.5")),
        termination_grace_period=grace_period + margin,
    )


def settled(clients: Mapping[str, Client]) -> dict[str, tuple[int, list[str]]]:
    """What became of everything that was sent: how many were not answered, and why."""
    return {
        name: (client.counts.sent - client.counts.answered, client.counts.failures)
        for name, client in clients.items()
    }


def expected(clients: Mapping[str, Client]) -> dict[str, tuple[int, list[str]]]:
    """All was answered."""
    return dict.fromkeys(clients, (0, []))


def test_a_rolling_update_fails_nobody(tmp_path: Path) -> None:
    """Not on new connections, not on kept ones, nor what takes 3 s; all orders are packed.

    And each pod ends by itself, cleanly, in its time.
    """

    async def main() -> tuple[Deployment, dict[str, Client]]:
        async with deployed(shop(tmp_path, MAIN), port="http", replicas=3, lag=LAG) as shops:
            clients = {
                "new": Client(shops.service),
                "kept": Client(shops.service, keeps=8),
                "orders": Client(shops.service, "POST", "/orders", keeps=4),
                "slow": Client(shops.service, path="/slow?seconds=3"),
            }
            async with loaded() as load:
                load.send(clients["new"], rate=20)
                load.send(clients["kept"], rate=20)
                load.send(clients["orders"], rate=10)
                load.send(clients["slow"], rate=3)
                await shops.roll()
        return shops, clients

    shops, clients = anyio.run(main)

    assert settled(clients) == expected(clients), shops.said()
    assert shops.service.refused == 0
    assert [ended(pod) for pod in shops.all_pods[:3]] == [(0, "deletion", False)] * 3, shops.said()
    taken = [orders(pod) for pod in shops.all_pods]
    assert sum(map(len, taken)) == clients["orders"].counts.answered
    assert {1} == {packed for pod in taken[:3] for packed in pod}


def test_crashes_and_hangs_are_mended(tmp_path: Path) -> None:
    """Each is restarted, its exit code tells what it was, and a proxy before them fails nobody.

    A part of the first crashes: 70, and what was in flight is finished. The second is killed, as
    by the kernel when the memory runs out. The third hangs: its liveness fails, it is told to end,
    and its watchdog ends it with 75, before the kubelet has to. The fourth hangs in C, where no
    other thread gets a turn: that one has to be killed.
    """

    async def main() -> tuple[Deployment, dict[str, Client]]:
        # The margin is what the watchdog has to get its turn in, on a machine that is busy.
        spec = shop(tmp_path, TROUBLED, drain_delay=1, grace_period=7, margin=8)
        async with deployed(spec, port="http", replicas=5, lag=LAG) as shops:
            clients: dict[str, Client] = {
                "new": Proxy(shops.service, timeout=8),
                "kept": Proxy(shops.service, keeps=8, timeout=8),
                "slow": Proxy(shops.service, path="/slow?seconds=1", timeout=8),
            }
            async with anyio.create_task_group() as tasks:
                for _ in shops.pods:  # a connection to each, so that each trouble meets one
                    tasks.start_soon(clients["kept"].send)
            async with loaded() as load:
                load.send(clients["new"], rate=10)
                load.send(clients["kept"], rate=20)
                load.send(clients["slow"], rate=3)
                troubled, troubles = shops.pods[:4], (CRASH, signal.SIGKILL, HANG, HANG_IN_C)
                for pod, what in zip(troubled, troubles, strict=True):
                    pod.send(what)
                await shops.wait(*[pod.wait_restarted for pod in troubled])
        return shops, clients

    shops, clients = anyio.run(main)

    assert settled(clients) == expected(clients), shops.said()
    assert [ended(pod) for pod in shops.all_pods[:4]] == [
        (70, None, False),
        (137, None, False),
        (75, "liveness", False),
        (137, "liveness", True),
    ], shops.said()
    assert shops.all_pods[4].history == []
    assert 0 < clients["kept"].counts.retried
    assert "TroubleError: a part has crashed" in shops.all_pods[0].said()
    assert re.search(r'troubled_shop\.py", line \d+ in hang\n', shops.all_pods[2].said())


def ended(pod: Pod) -> tuple[int, str | None, bool]:
    """How the one run of a pod's container has ended."""
    (run,) = pod.history
    return run.exit_code, run.asked_by, run.was_killed


def orders(pod: Pod) -> list[int]:
    """Give for each order that a pod has taken whether it is packed."""
    with closing(sqlite3.connect(Path(pod.env["SHOP_DATA"]) / "lifecycle-shop.db")) as database:
        return [packed for (packed,) in database.execute("SELECT packed FROM orders")]
