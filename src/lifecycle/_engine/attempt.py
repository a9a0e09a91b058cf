"""One attempt to start a component that is no service: what it begins, and what becomes of it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from lifecycle._core.component import Kind
from lifecycle._engine import calling, groups, hooks, lives

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle._engine.host import Host


class Attempt:
    """It is made in the component's task, once."""

    drain_hook: Callable[[], Any] | None = None
    check: Callable[[], Any] | None = None
    """The check that the object itself brings."""

    def __init__(self, host: Host) -> None:
        """Nothing is called yet."""
        self._host = host
        self._node = host.node
        self._caller = host.caller
        self._begun = lives.Value(None)
        """What it has begun; it is the life when all has gone well."""

    async def make(self, number: int) -> lives.Value:
        """Start the component; returns its life.

        Args:
            number: its number, from 1.

        """
        try:
            life: lives.Value = await self._caller.around(
                "start", self._node.function, self._make, attempt=number
            )
        except BaseException as error:
            # It may have gone well, and something else not: an instrument, or what came natively
            # while its thread was at it. What was opened is closed.
            await self._begun.discard(error)
            raise
        return life

    async def _make(self) -> lives.Value:
        node, watch = self._node, self._caller.watch
        if node.kind is Kind.OBJECT:
            return await self._start_object(node.value)
        args, kwargs = self._host.engine.starts.arguments(self._host)
        function, in_thread = node.function, self._caller.in_thread()
        assert function is not None  # noqa: S101  of every kind but a value and an object
        if node.kind is Kind.BUILD:
            made = calling.call_coroutine(None, function, *args, **kwargs)
            return await self._start_object(await watch(made))
        made = calling.call_coroutine(in_thread, function, *args, **kwargs)
        life = self._begun = lives.of_function(node, in_thread, await watch(made))
        await watch(life.start())
        if node.hooks.drain is not None:
            self.drain_hook = functools.partial(node.hooks.drain, life.value)
        return life

    async def _start_object(self, value: Any) -> lives.Value:
        node, in_thread = self._node, self._caller.in_thread()
        found = hooks.hooks_of(node.name, value, node.hooks)
        self.drain_hook, self.check = found.drain, found.check
        manager = found.manager or found.sync_manager
        entering = lives.of_manager(node.name, value, in_thread) if manager else None
        if entering is not None:
            self._begun = entering
            await self._caller.watch(entering.start())
            if node.hooks.drain is not None and node.hooks.take_value:  # what it enters, that is
                self.drain_hook = functools.partial(node.hooks.drain, entering.value)
            return entering
        life = lives.ObjectLife(value, found.stop, in_thread)
        if found.start is not None:
            start = functools.partial(self._caller.call, found.start)
            await groups.none_left_open(node.name, start, functools.partial(life.stop, None))
        return life
