"""Living the life of a registry again and again, with everything that can go wrong in it."""

from __future__ import annotations

import importlib.util
import logging
import time
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from lifecycle import Registry
from lifecycle.errors import plural
from lifecycle.settings import given_settings
from lifecycle.testing._asks import Asks
from lifecycle.testing._cases import Case, Hooks, cases
from lifecycle.testing._living import lived
from lifecycle.testing._reproduction import Source, reproduction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from lifecycle import Plan, Settings
    from lifecycle.testing._living import Body, LifeUnderTest

    Backend = Literal["asyncio", "trio"]

_SEEDS: Final = (None, 0, 1)
_MOST: Final = 10
"""How many broken promises are told of at once."""


@attrs.frozen
class Broken:
    """A promise that was broken."""

    promise: str
    """What was found."""
    case: str
    """What was done: the fault, or when the shutdown was asked for."""
    backend: str
    seed: int | None
    transcript: str
    """The life in which it was found."""
    reproduction: str
    """A test, to be pasted, that fails for the same reason."""

    def __str__(self) -> str:
        """Tell it, with the test."""
        seeded = "" if self.seed is None else f", seed {self.seed}"
        head = f"{self.promise}\n  when: {self.case} ({self.backend}{seeded})"
        return f"{head}\n\n{self.reproduction}"


@attrs.frozen
class Verification:
    """What was tried, and what was found."""

    registry: str
    lives: int
    """How many lives were lived."""
    components: int
    hooks: int
    cases: int
    backends: tuple[str, ...]
    seeds: tuple[int | None, ...]
    seconds: float
    """How long it took, in real time."""
    broken: tuple[Broken, ...] = ()

    def __str__(self) -> str:
        """Say it in a line, and what was found below it."""
        first = (
            f"{self.registry!r}: {plural(self.components, 'component')}, "
            f"{plural(self.hooks, 'hook')}, {plural(self.cases, 'thing')} done to them; "
            f"{plural(self.lives, 'life', 'lives')} on {' and '.join(self.backends)}, seeds "
            f"{', '.join(map(str, self.seeds))}, in {self.seconds:.1f} s: "
        )
        if not self.broken:
            return f"{first}every promise was kept"
        parts = [f"{number}. {one}" for number, one in enumerate(self.broken, 1)]
        return "\n\n".join([f"{first}{plural(len(parts), 'promise')} broken", *parts])


class BrokenPromiseError(AssertionError):
    """A registry does not keep what every life has to keep."""

    def __init__(self, verification: Verification) -> None:
        """Tell what was found."""
        super().__init__(str(verification))
        self.verification = verification


def verify(  # noqa: PLR0913  what there is to say of it
    registry: Registry,
    body: Body | None = None,
    settings: Settings | None = None,
    *,
    backends: Sequence[Backend] | None = None,
    seeds: Sequence[int | None] = _SEEDS,
    source: str | None = None,
) -> Verification:
    """Let everything go wrong that can, one thing in each life, and see that nothing else does.

    Lives the whole life of the real registry in virtual time, again and again: as it is; with each
    hook of each component made to fail (at its first waits, too), hang, be slow, ignore its
    cancellation, or leak a task; with each component that can made to crash; and with a shutdown
    asked for at every step of the start, and while it waits. What must hold each time: what became
    ready is stopped once, in order; the end comes within the grace period; outcome and exit code
    say what happened; no other component fails, ignores its cancellation, or loses work; no task,
    thread or async generator is left.

    Replace what talks to the world, by ``registry.override(…)`` or ``registry.without(…)``: time is
    virtual, and jumps while a real socket is waited for.

    Args:
        registry: what to verify.
        body: what is done while it runs; by default its checks are asked, and it runs for a second.
        settings: the numbers; by default ``Settings()``.
        backends: by default asyncio, and trio where it is installed.
        seeds: each life is lived once for each of these interleavings; None is first come, first
            served.
        source: what stands for the registry in reproductions, as ``"module:name"``; by default it
            is read from the call, as body and settings always are.

    Returns:
        What was tried.

    Raises:
        BrokenPromiseError: a promise was broken. It tells which, when, and gives for each the
            smallest test that was found to fail for the same reason.
        DefinitionError: the registry cannot be planned.
        ValueError: there are no backends, or no seeds: nothing would be verified.
        TypeError: the backends are no list.

    """
    given = [name for name, one in (("body", body), ("settings", settings)) if one is not None]
    written = Source.of_caller(source, given)
    verifier = _Verifier(registry, body, settings, written)
    began = time.monotonic()
    if isinstance(backends, str):
        message = f"backends takes a list: put {backends!r} in one, as backends=[…]"
        raise TypeError(message)
    backends = installed() if backends is None else tuple(backends)
    seeds = tuple(seeds)
    for name, given_ones in (("backends", backends), ("seeds", seeds)):
        if not given_ones:
            message = (
                f"{name} is empty, and so nothing would be verified: leave it out, or give one"
            )
            raise ValueError(message)
    with Silence():
        for backend in backends:
            verifier.verify(backend, seeds)
    verification = Verification(
        registry=registry.name,
        lives=verifier.lives,
        components=len(verifier.plan.components),
        hooks=len(verifier.hooks.steps),
        cases=len(verifier.cases),
        backends=backends,
        seeds=seeds,
        seconds=time.monotonic() - began,
        broken=tuple(verifier.broken.values()),
    )
    if verification.broken:
        raise BrokenPromiseError(verification)
    return verification


class _Verifier:
    def __init__(
        self, registry: Registry, body: Body | None, settings: Settings | None, source: Source
    ) -> None:
        if not isinstance(cast("object", registry), Registry):
            message = f"verify() takes a Registry, not {registry!r}"
            raise TypeError(message)
        given_settings(settings, "verify()")
        self.plan = registry.plan(settings)
        self.hooks = Hooks()
        self.cases: list[Case] = []
        self.lives = 0
        self.broken: dict[str, Broken] = {}
        self._registry = registry
        self._body = body
        self._settings = settings
        self._source = source

    def verify(self, backend: Backend, seeds: Sequence[int | None]) -> None:
        hooks = Hooks()
        first = self._live(self.plan, Case(), backend, None, instruments=(hooks,))
        self._look(first, Case(), backend, None)
        self.hooks = hooks
        self.cases = [Case(), *cases(first, hooks)]
        if self.broken:
            return  # what goes wrong by itself would be found again in every other life
        for case in self.cases:
            for seed in seeds:
                if len(self.broken) >= _MOST:
                    return
                self._look(self._live(self.plan, case, backend, seed), case, backend, seed)

    def _live(
        self,
        registry: Registry | Plan,
        case: Case,
        backend: Backend,
        seed: int | None,
        **more: Any,
    ) -> LifeUnderTest:
        self.lives += 1
        return lived(
            registry,
            self._body,
            self._settings,
            faults=() if case.fault is None else (case.fault(),),
            asks=None if case.shut_down_at is None else Asks(case.shut_down_at),
            backend=backend,
            seed=seed,
            **more,
        )

    def _look(self, life: LifeUnderTest, case: Case, backend: Backend, seed: int | None) -> None:
        for promise in life.broken_promises:
            what = promise.partition("\n")[0]
            if what not in self.broken:
                keeps = self._smallest(what, case, backend, seed)
                self.broken[what] = Broken(
                    promise=promise,
                    case=_told(case),
                    backend=backend,
                    seed=seed,
                    transcript=str(life.transcript),
                    reproduction=reproduction(
                        self._source, what, case, keeps=keeps, on=(backend, seed)
                    ),
                )

    def _smallest(
        self, what: str, case: Case, backend: Backend, seed: int | None
    ) -> tuple[str, ...]:
        """The fewest components with which the same is found; none: it takes all."""
        names = [node.name for node in self.plan.components]
        smaller = [(self._registry.only(name), name) for name in names]
        planned = [
            (len(part.plan(self._settings).components), part, name) for part, name in smaller
        ]
        for size, part, name in sorted(planned, key=lambda one: one[0]):
            if size == len(names):
                break
            life = self._live(part, case, backend, seed)
            if any(promise.partition("\n")[0] == what for promise in life.broken_promises):
                return (name,)
        return ()


class Silence(logging.Filter):
    """Keeps thousands of lives out of the log of `lifecycle`: what is found is told."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep a record out."""
        del record
        return False

    def __enter__(self) -> None:
        """Begin."""
        logging.getLogger("lifecycle").addFilter(self)

    def __exit__(self, *_: object) -> None:
        """End."""
        logging.getLogger("lifecycle").removeFilter(self)


def _told(case: Case) -> str:
    if case.fault is not None:
        return repr(case.fault())
    if case.shut_down_at is not None:
        return f"a shutdown is asked for at {case.shut_down_at!r}"
    return "nothing goes wrong"


def installed() -> tuple[Backend, ...]:
    """The event loops that there are, and that can be virtual."""
    return ("asyncio",) if importlib.util.find_spec("trio") is None else ("asyncio", "trio")
