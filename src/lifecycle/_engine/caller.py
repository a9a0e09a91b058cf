"""Calling the hooks of one component: in its thread, and within the instruments in force."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any, Literal

from lifecycle._core import calls
from lifecycle._core.component import Kind
from lifecycle._engine import calling, stacks
from lifecycle._engine.instruments import HookCall
from lifecycle._engine.threads import Thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lifecycle._core.component import Node
    from lifecycle._engine.engine import Engine


class Caller:
    """Calls the hooks of one component, and knows where they are."""

    _awaiting: Any = None
    _thread: Thread | None = None
    """Made with the first call in it."""

    def __init__(self, engine: Engine, node: Node) -> None:
        """Nothing is being called."""
        self._engine = engine
        self._node = node

    def around(
        self,
        hook: Literal["start", "run", "drain", "stop"],
        function: Callable[..., Any] | None,
        proceed: Callable[[], Awaitable[Any]],
        *,
        attempt: int = 1,
        spans: bool | None = None,
    ) -> Awaitable[Any]:
        """Call a hook, within the instruments that are in force; what this returns is awaited.

        Args:
            hook: which.
            function: what is called, as far as it tells sync from async.
            proceed: calls it.
            attempt: the number of the attempt, from 1.
            spans: whether a task group may be open from here to the component's stop; None: what
                the component consists of is not known yet.

        """
        engine, node = self._engine, self._node
        if not engine.instruments:
            return proceed()
        if spans is None:
            spans = node.kind is Kind.FUNCTION and calls.is_async_generator(node.function)
        sync = function is not None and hook != "run" and not calls.belongs_on_loop(function)
        in_thread = self.in_thread() if sync else None
        call = HookCall(engine.system, node.name, hook, attempt, in_thread, spans=spans)
        return self.watch(engine.instruments.around(call, proceed))

    async def call(self, function: Callable[..., Any]) -> Any:
        """Call what is without arguments, and await what it returns where that is to be awaited."""
        return await self.watch(calling.call(self.in_thread(), function))

    async def watch(self, awaitable: Awaitable[Any]) -> Any:
        """Await, and remember what, so that its stack can be shown."""
        outer, self._awaiting = self._awaiting, awaitable
        try:
            return await awaitable
        finally:
            self._awaiting = outer

    def stack(self) -> str:
        """Where what is being called is, as a traceback; empty where nothing is."""
        frame = self._thread.frame if self._thread is not None else None
        if frame is not None:
            return "".join(traceback.format_stack(frame))
        return stacks.of(self._awaiting)

    def in_thread(self) -> calling.InThread | None:
        """How sync code of this component is called; None: on the loop."""
        return self._call_in_thread if self._node.thread else None

    def _call_in_thread(self, function: Callable[[], Any]) -> Awaitable[Any]:
        if self._thread is None:
            self._thread = Thread(self._node.name, self._engine.loop, self._engine.instruments)
        return self._thread.call(function)

    @property
    def is_in_own_thread(self) -> bool:
        """Whether who asks is sync code of this component."""
        return self._thread is not None and self._thread.is_current

    def end(self) -> None:
        """Let the thread end once it has nothing more to do."""
        if self._thread is not None:
            self._thread.end()
