"""Rolling restarts under load, and what became of everything that was sent meanwhile."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import attrs

from tests.cluster.calls import AS_THEY_COME, RETRYING, Calls, Ticks
from tests.cluster.deployment import deployed
from tests.cluster.load import Client, Counts, loaded
from tests.cluster.streams import Chat, Events, follow

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.calls import Options
    from tests.cluster.load import Load
    from tests.cluster.service import Service
    from tests.cluster.targets import Target

REPLICAS: Final = 3
LAG: Final = 2.0
"""How many seconds later than the SIGTERM those who route learn of it."""
STREAMS: Final = 4
"""How many streams of each kind are followed."""
RATE: Final = 10
"""How many short requests come in a second, on new connections, and on kept ones."""


@attrs.frozen
class Outcome:
    """What became of everything that was sent, by kind, and how the pods have ended."""

    counts: dict[str, Counts]
    exit_codes: list[int]
    """Of those that were replaced."""
    killed: int
    """How many of them had to be."""
    said: str
    """What all of them have written."""

    @property
    def sent(self) -> int:
        """How much was sent, of all kinds."""
        return sum(counts.sent for counts in self.counts.values())

    @property
    def failed(self) -> int:
        """How much of that failed."""
        return sum(counts.sent - counts.answered for counts in self.counts.values())


async def roll(target: Target, restarts: int, replicas: int = REPLICAS) -> Outcome:
    """Roll a deployment over under load, a number of times."""
    async with deployed(target.spec, port="http", replicas=replicas, lag=LAG) as deployment:
        async with loaded() as load:
            counts = _KINDS[target.speaks](deployment.service, load)
            for _ in range(restarts):
                await deployment.roll()
        ended = [run for pod in deployment.all_pods for run in pod.history]
        return Outcome(
            counts,
            exit_codes=[run.exit_code for run in ended],
            killed=sum(run.was_killed for run in ended),
            said=deployment.said(),
        )


def _http(service: Service, load: Load) -> dict[str, Counts]:
    new, kept = Client(service), Client(service, keeps=8)
    slow = Client(service, path="/slow?seconds=3")
    load.send(new, rate=RATE)
    load.send(kept, rate=RATE)
    load.send(slow, rate=RATE / 10)
    events, chats = Counts(), Counts()
    for _ in range(STREAMS):
        load.run(functools.partial(follow, Events(service, "/events", events)))
        load.run(functools.partial(follow, Chat(service, "/chat", chats)))
    return {
        "on new": new.counts,
        "on kept": kept.counts,
        "of 3 s": slow.counts,
        "streams": events,
        "websockets": chats,
    }


def _grpc(options: Options, service: Service, load: Load) -> dict[str, Counts]:
    get, pack = "/shop.Orders/Get", "/shop.Orders/Pack"
    new = Calls(service, get, options=options)
    kept = Calls(service, get, keeps=8, options=options)
    slow = Calls(service, pack, keeps=4, options=options)
    load.send(new, rate=RATE)
    load.send(kept, rate=RATE)
    load.send(slow, rate=RATE / 10)
    ticks = Counts()
    for _ in range(STREAMS):
        load.run(functools.partial(follow, Ticks(service, "/shop.Orders/Ticks", ticks, options)))
    return {"on new": new.counts, "on kept": kept.counts, "of 3 s": slow.counts, "streams": ticks}


_KINDS: Final[dict[str, Callable[[Service, Load], dict[str, Counts]]]] = {
    "http": _http,
    "grpc": functools.partial(_grpc, AS_THEY_COME),
    "grpc, retrying": functools.partial(_grpc, RETRYING),
}
