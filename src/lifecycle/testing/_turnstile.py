"""Seeded turns for the hooks of systems on trio.

What trio runs first of what can run at the same time, it decides itself, by a die that nobody can
seed. `lifecycle` lets hooks that may begin at the same time begin in one order all the same. Here a
seed makes that order another one: whoever comes is let in when nothing else moves, one after the
other, in the order that the seed decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import trio

from lifecycle.instruments import Instrument

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lifecycle.instruments import HookCall
    from lifecycle.testing._interleaving import Interleaving
    from lifecycle.testing._virtual_clock import VirtualClock

_LONGEST = 1000
"""For how many turns of the loop to wait until nothing moves: something may always move."""


class Turnstile(Instrument):
    """Lets hooks begin in an order that a seed decides."""

    def __init__(self, interleaving: Interleaving, clock: VirtualClock) -> None:
        """Nobody has come yet."""
        self._interleaving = interleaving
        self._clock = clock
        self._come: list[tuple[float, int, anyio.Event]] = []
        self._count = 0
        self._is_open = False

    async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Call a hook when it is its turn."""
        del call
        with anyio.CancelScope(shield=True):  # it is the hook that is cancelled, not its turn
            await self._turn()
        return await proceed()

    async def _turn(self) -> None:
        self._count += 1
        turn = anyio.Event()
        self._come.append((self._interleaving.tie(), self._count, turn))
        if not self._is_open:
            self._is_open = True
            await self._until_nothing_moves()
            self._next()
        await turn.wait()
        self._next()  # it runs only after this one

    def _next(self) -> None:
        self._is_open = bool(self._come)
        if self._come:
            first = min(self._come)
            self._come.remove(first)
            first[-1].set()

    async def _until_nothing_moves(self) -> None:
        for _ in range(_LONGEST):
            before = self._clock.steps
            await trio.lowlevel.cancel_shielded_checkpoint()
            await trio.lowlevel.cancel_shielded_checkpoint()
            if self._clock.steps == before + 2:  # those were its own
                return
