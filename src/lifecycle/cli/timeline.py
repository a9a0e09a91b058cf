"""``lifecycle timeline``: start a registry, end it, and show what took how long."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Final

import attrs

from lifecycle import Settings, events
from lifecycle.cli import run
from lifecycle.cli.target import has_main
from lifecycle.errors import seconds
from lifecycle.states import Phase

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator, Iterator, Sequence
    from typing import TypeAlias

    from lifecycle import Plan, System

    _HookEnded: TypeAlias = (
        events.ComponentStarted | events.ComponentDrained | events.ComponentStopped
    )

TARGET = "what to start, and to end"
HELP = "start a registry, end it, and show what took how long, and what was waited for"
DESCRIPTION = """\
Start a registry, for real, end it as soon as it runs, and show what took how long, and what was
waited for. Where it has a main, that runs to its end.
"""

_WIDTH: Final = 40
_NOTHING: Final = 0.0005  # what is shown as 0 s: most components have nothing to drain


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    run.add_arguments(parser)


def command(options: argparse.Namespace) -> int:
    """Start the target, end it, show what was seen, and return 0 if all went well.

    Raises:
        DefinitionError: the target, the declaration or the settings are wrong.
        SystemExit: it ended with another code.

    """
    settings = attrs.evolve(Settings.from_env(), drain_delay=0)  # nobody is sent to it
    timeline = Timeline()
    try:
        run.program(options, settings, companions=[timeline.timeline], observers=[timeline])
    except SystemExit:
        with contextlib.suppress(OSError, ValueError):  # how it ended counts for more
            show(timeline)
        raise
    show(timeline)
    return 0


def show(timeline: Timeline) -> None:
    """Write what was seen to stdout, if there was anything."""
    if timeline.plan is not None:
        sys.stdout.write("\n".join(describe(timeline, timeline.plan)) + "\n")
        sys.stdout.flush()


@attrs.frozen
class Span:
    """A hook of a component, and when it ran, on the loop's clock, in seconds."""

    component: str
    begin: float
    end: float
    remark: str

    @classmethod
    def of(cls, event: _HookEnded, remark: str = "") -> Span:
        """The hook whose end an event tells."""
        if event.error is not None:
            cause = event.error.__cause__ or event.error  # what the hook raised itself
            remark = f"{remark} failed: {type(cause).__name__}".strip()
        return cls(event.component, event.at - event.duration, event.at, remark)


class Timeline:
    """A companion and an observer: notes when each hook ran, and ends the system that runs."""

    def __init__(self) -> None:
        """Nothing was seen."""
        self.plan: Plan | None = None
        self.starts: list[Span] = []
        self.ends: list[Span] = []
        self._system: System | None = None

    @contextlib.asynccontextmanager
    async def timeline(self, system: System) -> AsyncGenerator[None]:
        """See whom it is about; the log names a companion by its function."""
        self._system, self.plan = system, system.plan
        yield

    def __call__(self, event: events.Event) -> None:
        """Note it."""
        if isinstance(event, events.ComponentStarted):
            self.starts.append(Span.of(event))
        elif isinstance(event, events.ComponentDrained):
            if event.error is not None or event.duration >= _NOTHING:
                self.ends.append(Span.of(event, "drain"))
        elif isinstance(event, events.ComponentStopped):
            self.ends.append(Span.of(event, "stop"))
        elif isinstance(event, events.PhaseChanged) and event.phase is Phase.RUNNING:
            self._runs()

    def _runs(self) -> None:
        if self._system is not None and not has_main(self._system.plan):
            self._system.shut_down("the timeline has been seen")


def describe(timeline: Timeline, plan: Plan) -> Iterator[str]:
    """Show a timeline to a person, line by line."""
    yield from _section("start", plan.name, timeline.starts)
    chain = waited_for(timeline.starts, plan)
    if chain:
        yield ""
        links = (f"{span.component} {seconds(span.end - span.begin)}" for span in chain)
        yield f"Waited for: {' -> '.join(links)}"
    if timeline.ends:
        yield ""
        yield from _section("end", plan.name, timeline.ends)


def waited_for(starts: Sequence[Span], plan: Plan) -> list[Span]:
    """The chain of starts that took the longest: each was the last that the next one waited for."""
    ended = {span.component: span for span in starts}
    needs = {
        node.name: [plan.components[i].name for i in node.dependencies] for node in plan.components
    }
    chain: list[Span] = []
    candidates = list(starts)
    while candidates:
        last = max(candidates, key=lambda span: span.end)
        chain.append(last)
        candidates = [ended[name] for name in needs[last.component] if name in ended]
    return chain[::-1]


def _section(what: str, name: str, spans: Sequence[Span]) -> Iterator[str]:
    first = min((span.begin for span in spans), default=0.0)
    total = max((span.end for span in spans), default=0.0) - first
    yield f"The {what} of {name} took {seconds(total)}:"
    yield ""
    width = max((len(span.component) for span in spans), default=0)
    for span in sorted(spans, key=lambda span: (span.begin, span.end)):
        bar = _bar(span.begin - first, span.end - first, total)
        took = seconds(span.end - span.begin)
        yield f"  {span.component:<{width}}  {bar:<{_WIDTH}}  {took:>8}  {span.remark}".rstrip()


def _bar(begin: float, end: float, total: float) -> str:
    """Draw it: at least one character, and no further than the width."""
    scale = _WIDTH / total if total else 0.0
    start = min(int(begin * scale), _WIDTH - 1)
    return " " * start + "#" * max(1, round(end * scale) - start)
