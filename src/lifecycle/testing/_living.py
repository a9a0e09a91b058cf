"""A whole life in virtual time, from a plain function: ``testing.live(shop)``."""

from __future__ import annotations

import contextlib
import difflib
from typing import TYPE_CHECKING, Any, Final

import anyio

from lifecycle.errors import DefinitionError
from lifecycle.testing import _promises as promises
from lifecycle.testing._asks import WAIT, Asks
from lifecycle.testing._life import Life
from lifecycle.testing._manners import Manners
from lifecycle.testing._running import run
from lifecycle.testing._stalled import StalledError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Literal

    from lifecycle import Plan, Registry, Settings, System
    from lifecycle.events import Observer
    from lifecycle.instruments import Instrument
    from lifecycle.testing._life import Companion
    from lifecycle.testing.faults import Fault

    Body = Callable[[System], Awaitable[Any]]

_PATIENCE: Final = 8.0
"""How long a life may wait for the world outside, or turn for nothing, in real seconds."""
_RUNS: Final = 1.0
"""For how many virtual seconds a system runs where no body says."""


class LifeUnderTest(Life):
    """A life that was lived to its end, whatever came of it."""

    manners: Manners

    @property
    def broken_promises(self) -> list[str]:
        """What it has not kept of what every life has to keep; see :func:`verify`."""
        return promises.broken(self, self.manners.swallowed)


def live(  # noqa: PLR0913  what there is to say of a life
    registry: Registry | Plan,
    body: Body | None = None,
    settings: Settings | None = None,
    *,
    faults: Sequence[Fault] = (),
    shut_down_at: str | None = None,
    backend: Literal["asyncio", "trio"] = "asyncio",
    seed: int | None = None,
    limit: float = 86400.0,
    companions: Sequence[Companion] = (),
    observers: Sequence[Observer] = (),
    instruments: Sequence[Instrument] = (),
) -> LifeUnderTest:
    """Live the whole life of a system, in virtual time and on an event loop of its own.

    What went wrong in it is not raised, but in the `report` and the `error` of what it returns.

    Args:
        registry: what to run.
        body: what is done while it runs, called with the system; by default its checks are asked,
            and it runs for a second.
        settings: the numbers; by default ``Settings()``.
        faults: what is to go wrong.
        shut_down_at: ask for a shutdown as soon as this line, without its time, stands in the
            transcript: ``"jobs starts"``; or once the start that begins there waits for the n-th
            time: ``"jobs starts, wait 2"``.
        backend: ``"asyncio"`` or ``"trio"``.
        seed: as for ``testing.run``.
        limit: for how many virtual seconds it may go on; a day.
        companions: as for :func:`lifecycle.running`.
        observers: likewise.
        instruments: what else is put around the hooks.

    Raises:
        DefinitionError: what was declared, or a setting, cannot work; nothing has been lived.
        TypeError: the registry, the settings, a fault, a companion, an observer or an instrument is
            something else.
        ValueError: it never came to `shut_down_at`: a misspelt line would be a test of nothing.

    """
    asks = None if shut_down_at is None else Asks(shut_down_at)
    life = lived(
        registry,
        body,
        settings,
        faults=faults,
        asks=asks,
        backend=backend,
        seed=seed,
        limit=limit,
        companions=companions,
        observers=observers,
        instruments=instruments,
    )
    has_ended = life.system is not None and life.stalled is None
    if asks is not None and has_ended and not asks.have_asked:
        raise ValueError(_never_came(asks.line, life))
    return life


def lived(  # noqa: PLR0913  what there is to say of a life
    registry: Registry | Plan,
    body: Body | None,
    settings: Settings | None,
    *,
    faults: Sequence[Fault],
    asks: Asks | None,
    backend: Literal["asyncio", "trio"],
    seed: int | None,
    limit: float = 86400.0,
    companions: Sequence[Companion] = (),
    observers: Sequence[Observer] = (),
    instruments: Sequence[Instrument] = (),
) -> LifeUnderTest:
    """Live it, whether or not it comes to the shutdown that is to be asked for."""
    manners = Manners()
    asking = () if asks is None else (asks,)
    life = LifeUnderTest(
        registry,
        settings,
        faults=faults,
        companions=(*asking, *companions),
        observers=(*asking, *observers),
        instruments=(*asking, *instruments, manners),
    )
    life.manners = manners
    try:
        run(_live, life, body, backend=backend, seed=seed, limit=limit, patience=_PATIENCE)
    except StalledError as stalled:
        life.stalled = life.error = stalled
        life.report = None if life.system is None else life.system.report
    if life.system is None and isinstance(life.error, (DefinitionError, TypeError)):
        raise life.error  # nothing was lived, and so nothing can be said of it
    return life


def _never_came(line: str, life: LifeUnderTest) -> str:
    """Say so for a person, who has most likely misspelt it."""
    what = line.partition(WAIT)[0]
    like = difflib.get_close_matches(what, life.transcript.words, n=1)
    guess = f" Did you mean {like[0]!r}?" if like and like != [what] else ""
    return f"shut_down_at={line!r}: this life never came to that.{guess}\n{life.transcript}"


async def _live(life: Life, body: Body | None) -> None:
    with contextlib.suppress(Exception, KeyboardInterrupt, SystemExit):
        async with life as system:
            life.result = await (_wait if body is None else body)(system)


async def _wait(system: System) -> None:
    await system.check()
    await anyio.sleep(_RUNS)
