"""Declares the components of a script, of every kind, with hooks that play their acts."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import attrs

from lifecycle import Lifetime, Registry
from lifecycle.errors import ClosedError, WorkCancelledError
from lifecycle.settings import Retry
from tests.chaos.script import EXIT_CODE, IN_GROUPS, Act, Part
from tests.chaos.story import Call, Deed, Story, What, name_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from lifecycle import Component, System
    from lifecycle.testing import Stuck

_mark: contextvars.ContextVar[object] = contextvars.ContextVar("chaos_mark", default=None)
_TURNS = 3
"""How many turns of the loop stand for a second where time is real."""


class InjectedError(Exception):
    """What fails, by our own doing."""


class InjectedBaseError(BaseException):
    """The same, and no Exception."""


@attrs.define
class Actors:
    """Who plays the acts of one run."""

    story: Story
    on_asyncio: bool
    stuck: Callable[[int, str], Stuck | None]
    """What the thread of a sync hook is stuck in for as long as its act takes."""
    _systems: list[System] = attrs.field(factory=list)
    handles: list[Component[Any]] = attrs.field(factory=list)

    # --- acts ----------------------------------------------------------------------------------

    async def sleep(self, seconds: float) -> None:
        """Let time go by; where it is real, turns of the loop."""
        if not self.story.is_real:
            await anyio.sleep(seconds)
            return
        for _ in range(round(seconds * _TURNS)):
            await anyio.lowlevel.checkpoint()

    async def play(self, call: Call, act: Act) -> None:
        """Play an async act."""
        if act.how == "ignores":
            with anyio.CancelScope(shield=True):
                await self.sleep(act.takes)
            return
        try:
            if act.is_endless and not self.story.is_real:
                await anyio.sleep_forever()
            await self.sleep(act.takes)
            if act.how == "is cancelled" and self.on_asyncio:
                call.by_itself = True
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class():
            call.cancelled_at = self.story.now()
            if act.how == "swallows":
                return
            if act.how == "trips":
                call.raised = InjectedError(str(call))
                raise call.raised from None
            if act.how == "unwinds":
                with anyio.CancelScope(shield=True):
                    await self.sleep(act.takes)
            raise
        self.end(call, act)

    def play_sync(self, call: Call, act: Act) -> None:
        """Play a sync one, in a thread."""
        stuck = self.stuck(call.part, call.what)
        if stuck is not None:
            stuck.block()
        self.end(call, act)

    def end(self, call: Call, act: Act) -> None:
        """End as the act says."""
        if act.how == "asks":
            self.ask(self.system)
        elif act.how in _RAISED:
            call.raised = _RAISED[act.how](str(call))
            if isinstance(call.raised, SystemExit):
                call.raised.code = EXIT_CODE
            raise call.raised

    def know(self, system: System) -> None:
        """Keep the system, for those who are to do something to it."""
        self._systems.append(system)

    @property
    def is_known(self) -> bool:
        """Whether there is a system yet."""
        return bool(self._systems)

    @property
    def system(self) -> System:
        """The system."""
        return self._systems[0]

    def ask(self, system: System, code: int = 0) -> None:
        """Ask for a shutdown."""
        self.story.write(Deed("asked", self.story.now(), code))
        system.shut_down("asked", exit_code=code)

    async def hook(self, part: int, what: What, act: Act) -> None:
        """Be an async hook."""
        with self.story.call(part, what, _mark.get()) as call:
            if what == "start":
                _mark.set(part)
            await self.play(call, act)

    def hook_sync(self, part: int, what: What, act: Act) -> None:
        """Be a sync hook."""
        with self.story.call(part, what, _mark.get()) as call:
            if what == "start":
                _mark.set(part)
            self.play_sync(call, act)

    # --- what runs beside the hooks ------------------------------------------------------------

    async def _work(self, index: int, act: Act) -> None:
        try:
            with Lifetime.current().hold(f"work {index}"), self.story.call(index, "work") as call:
                await self.play(call, act)
        except (WorkCancelledError, ClosedError):
            return

    async def _crash(self, index: int, act: Act) -> None:
        with self.story.call(index, "run") as call:
            await self.sleep(act.takes)
            if act.how != "ends":
                self.end(call, act)

    @asynccontextmanager
    async def _beside(self, index: int, part: Part) -> AsyncIterator[None]:
        if part.crash is None and part.work is None:
            yield
            return
        async with anyio.create_task_group() as group:
            if part.work is not None:
                group.start_soon(self._work, index, part.work)
            if part.crash is not None:
                group.start_soon(self._crash, index, part.crash)
            yield
            group.cancel_scope.cancel()

    async def _living(self, index: int, part: Part) -> AsyncIterator[int]:
        """Live as an async generator does."""
        with self.story.call(index, "life"):
            await self.hook(index, "start", part.start)
            try:
                async with self._beside(index, part):
                    yield index
            finally:
                await self.hook(index, "stop", part.stop)

    def _living_sync(self, index: int, part: Part) -> Iterator[int]:
        with self.story.call(index, "life"):
            self.hook_sync(index, "start", part.start)
            try:
                yield index
            finally:
                self.hook_sync(index, "stop", part.stop)

    # --- declaring -----------------------------------------------------------------------------

    def registry(self) -> Registry:
        """Declare all of a script."""
        shop = Registry("chaos")
        handles = self.handles
        for index, part in enumerate(self.story.script.parts):
            if part.kind == "derived":
                derive = functools.partial(self._derive, index, part)
                handles.append(handles[part.requires[0]].map(derive, name=name_of(index)))
                continue
            options = {
                "name": name_of(index),
                "optional": part.optional,
                "retry": Retry(part.retry, delay=0.1) if part.retry else None,
                "requires": [handles[other] for other in part.requires],
                "wants": [handles[other] for other in part.wants],
                "after": [handles[other] for other in part.after],
                "start_timeout": part.start_timeout,
                "drain_timeout": part.drain_timeout,
                "stop_timeout": part.stop_timeout,
            }
            handles.append(self._declare(shop, index, part, options))
        return shop

    def _derive(self, index: int, part: Part, value: object) -> object:
        del value
        with self.story.call(index, "start") as call:
            self.end(call, part.start)
        return index

    def _declare(self, shop: Registry, index: int, part: Part, options: Any) -> Component[Any]:
        kind = part.kind
        if kind in {"generator", "thread generator"}:
            living: Any = self._living if kind in IN_GROUPS else self._living_sync
            component = shop.component(functools.partial(living, index, part), **options)
        elif kind in {"function", "thread function"}:
            hook: Any = self.hook_sync if part.is_sync else self.hook
            component = shop.component(
                functools.partial(hook, index, "start", part.start), **options
            )
        elif kind == "service":
            component = shop.service(functools.partial(self._service, index, part), **options)
        elif kind == "plain service":
            component = shop.service(functools.partial(self._plain_service, index, part), **options)
        elif kind == "main":
            component = shop.main(functools.partial(self._main, index, part), **options)
        else:
            return self._declare_object(shop, index, part, options)
        if part.drain is not None and kind not in {"service", "main"}:
            component.drain(self._drain_hook(index, part))
        return component

    def _declare_object(
        self, shop: Registry, index: int, part: Part, options: Any
    ) -> Component[Any]:
        if part.kind.startswith("built"):
            make = functools.partial(self._thing, index, part)
            component: Component[Any] = shop.build(make, **options)
            if part.drain is not None:
                component.drain(self._drain_hook(index, part))
            return component
        thing: Any = self._thing(index, part)
        if part.drain is not None:
            thing.drain = functools.partial(self._drain_hook(index, part), index)
        added: Component[Any] = shop.add(thing, **options)
        return added

    def _thing(self, index: int, part: Part) -> object:
        if part.kind in {"manager", "built manager"}:
            return asynccontextmanager(functools.partial(self._living, index, part))()
        if part.kind == "thread manager":
            return contextmanager(functools.partial(self._living_sync, index, part))()
        hook: Any = self.hook_sync if part.is_sync else self.hook
        return _Thing(
            functools.partial(hook, index, "start", part.start),
            functools.partial(hook, index, "stop", part.stop),
        )

    def _drain_hook(self, index: int, part: Part) -> Callable[[Any], Any]:
        act = part.drain
        assert act is not None
        if part.is_sync:
            return lambda _: self.hook_sync(index, "drain", act)

        async def drain(_: object) -> None:
            await self.hook(index, "drain", act)

        return drain

    # --- services ------------------------------------------------------------------------------

    async def _service(self, index: int, part: Part, own: Lifetime) -> None:
        with self.story.call(index, "life"):
            await self.hook(index, "start", part.start)
            own.started()
            async with anyio.create_task_group() as group:
                if part.work is not None:
                    group.start_soon(self._work, index, part.work)
                if part.crash is not None and await self._ends_early(index, part.crash, own):
                    group.cancel_scope.cancel()
                    return
                await own.wait_draining()
            if part.drain is not None:
                await self.hook(index, "drain", part.drain)
            if part.stop != Act():
                await own.wait_stopping()
                await self.hook(index, "stop", part.stop)

    async def _ends_early(self, index: int, act: Act, own: Lifetime) -> bool:
        """Wait, at most until the drain begins, and end as the act says."""
        with self.story.call(index, "run") as call:
            if self.story.is_real:
                await self.sleep(act.takes)
            elif not await own.sleep(act.takes):
                return False
            if own.draining:
                return False
            self.end(call, act)
            return True

    async def _plain_service(self, index: int, part: Part) -> None:
        with self.story.call(index, "life"):
            if part.crash is not None:
                with self.story.call(index, "run") as call:
                    await self.sleep(part.crash.takes)
                    self.end(call, part.crash)
                return
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=part.stop.how in {"ends", "fails"}):
                    await self.hook(index, "stop", part.stop)

    async def _main(self, index: int, part: Part, own: Lifetime) -> int:
        with self.story.call(index, "life"):
            if part.crash is not None:
                await self._ends_early(index, part.crash, own)
            else:
                await own.wait_draining()
            if part.drain is not None and own.draining:
                await self.hook(index, "drain", part.drain)
            return 0


class _Thing:
    """An object with hooks."""

    def __init__(self, start: Callable[[], Any], stop: Callable[[], Any]) -> None:
        self.start = start
        self.stop = stop


_RAISED: dict[str, type[BaseException]] = {
    "fails": InjectedError,
    "breaks": InjectedBaseError,
    "exits": SystemExit,
    "interrupts": KeyboardInterrupt,
}
