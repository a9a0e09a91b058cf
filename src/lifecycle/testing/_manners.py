"""Seeing whether a hook that was cancelled ends by that."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import anyio

from lifecycle.instruments import HookCall, Instrument
from lifecycle.testing._steps import Step, Stepped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Manners(Instrument):
    """Notes the hooks that were cancelled, and ended as if they had not been."""

    def __init__(self) -> None:
        """None has yet."""
        self.swallowed: list[tuple[str, str]] = []
        """Component and hook of each."""

    async def around(self, call: HookCall, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Watch a hook; a service may well end by returning when it is cancelled."""
        if call.in_thread is not None or call.hook == "run":
            return await proceed()
        cancelled = anyio.get_cancelled_exc_class()
        was_told = False

        def watch(step: Step) -> None:
            nonlocal was_told
            was_told = was_told or isinstance(step.error, cancelled)

        result = await Stepped(proceed(), watch)
        if was_told and anyio.current_effective_deadline() == -math.inf:
            self.swallowed.append((call.component, call.hook))
        return result
