"""The time that `InFlight` adds to a call of a bare app, against what forwarding adds.

Two coroutines that forward: one hands the call on and nothing else; the other is the least that a
middleware can be which looks at a call: it copies the scope, and forwards each message both ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks import graphs, ours
from benchmarks.measuring import (
    Line,
    Sample,
    Stopwatch,
    column,
    in_turns,
    microseconds,
    on_loop,
    row,
)
from lifecycle.asgi import InFlight

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.asgi import ASGIApp, Message, Receive, Scope, Send

CALLS, QUICK = 10_000, 500
AIM = 3.0
SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "method": "POST",
    "path": "/orders/17",
    "query_string": b"",
    "headers": [(b"host", b"shop"), (b"content-length", b"2")],
}
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")],
}


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Read a body, and answer."""
    del scope
    await receive()
    await send(dict(START))
    await send({"type": "http.response.body", "body": b"{}"})


async def handing_on(scope: Scope, receive: Receive, send: Send) -> None:
    """Hand the call on."""
    await bare(scope, receive, send)


async def forwarding(scope: Scope, receive: Receive, send: Send) -> None:
    """Forward the call, and each message."""

    async def forward_in() -> Message:
        return await receive()

    async def forward_out(message: Message) -> None:
        await send(message)

    await bare({**scope}, forward_in, forward_out)


def measure(*, quick: bool) -> Iterator[Line]:
    """What each adds."""
    calls = QUICK if quick else CALLS
    samples = [_sample(calls, app) for app in (bare, handing_on, forwarding, None)]
    taken = in_turns(3 if quick else 25, *samples)
    # The difference of two times is noisy where it is small: the least of each is what counts.
    least = [min(column(taken, which)) for which in range(4)]
    note = f"adds {microseconds(least[3] - least[0])} to {microseconds(least[0])}"
    for which, what in ((1, "handing on"), (2, "forwarding")):
        adds = max(least[which] - least[0], 1e-9)
        theirs = f"{note}; that: {microseconds(adds)}"
        yield row(
            f"against {what}",
            [(least[3] - least[0]) / adds],
            aim=AIM if which == 2 else None,  # noqa: PLR2004
            note=theirs,
        )


def _sample(calls: int, app: ASGIApp | None) -> Sample:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Message) -> None:
        del message

    async def once() -> float:
        async with ours.system(graphs.wide(1)) as system:
            called: Any = InFlight(bare, system) if app is None else app
            with Stopwatch() as watch:
                for _ in range(calls):
                    await called(SCOPE, receive, send)
            return watch.seconds / calls

    return lambda: on_loop(once)
