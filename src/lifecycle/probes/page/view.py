"""The parts of the page of one system: each can be written anew where what it shows has changed."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from typing import TYPE_CHECKING

import attrs

from lifecycle.probes.page.assets import policy
from lifecycle.probes.page.drawing import HEIGHT, WIDTH, box
from lifecycle.probes.page.graph import Graph
from lifecycle.probes.page.headline import headline, progress, steps
from lifecycle.probes.page.layout import Sizes, layout
from lifecycle.probes.page.markup import Markup, element, join
from lifecycle.probes.page.signs import sign
from lifecycle.probes.page.tables import needs, row, work_table
from lifecycle.probes.page.words import age
from lifecycle.states import Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lifecycle import System
    from lifecycle.probes.page.layout import Layout
    from lifecycle.report import Status

WORK_HEADING = "work-heading"
"""The id of the heading of what is in flight."""
_ACROSS = Sizes(width=WIDTH, height=HEIGHT, between=14, step=52)
_DOWN = Sizes(width=WIDTH, height=HEIGHT, between=10, step=40, downwards=True, most=2)


@attrs.frozen
class View:
    """What is shown of one system, whatever its status."""

    name: str
    graph: Graph
    grace_period: float
    delays: bool
    """Whether a shutdown begins with a drain delay."""
    _needs: tuple[Markup, ...] = attrs.field(
        init=False,
        repr=False,
        default=attrs.Factory(lambda self: needs(self.graph), takes_self=True),
    )
    """What stays the same, and so is written once."""

    @classmethod
    def of(cls, system: System) -> View:
        """Take from a system what does not change."""
        settings = system.settings
        graph = Graph.of(system.plan)
        return cls(system.name, graph, settings.grace_period, settings.drain_delay > 0)

    @property
    def digest(self) -> str:
        """Pages with the same differ in nothing but their parts."""
        whole = f"{self!r} {policy()}"
        return hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()[:16]

    def title(self, status: Status) -> str:
        """Write the page's title."""
        return f"{headline(status).word} · {self.name}"

    def spoken(self, status: Status) -> str:
        """Write what is read out to those who do not see the page: only the phase, and why."""
        told = headline(status)
        now = f"closed. {told.sentence}" if status.outcome else f"{status.phase}."
        reason = f" Reason: {status.reason}." if status.reason else ""
        return f"{self.name}: {now}{reason}"

    def parts(self, status: Status) -> Iterator[tuple[str, Markup]]:
        """Write all parts."""
        yield from self.summary(status)
        yield from self.components(status, range(len(self.graph.names)))

    def summary(self, status: Status) -> Iterator[tuple[str, Markup]]:
        """Write the parts that concern the system as a whole."""
        yield "headline", _headline(status)
        yield "steps", self._steps(status)
        yield "facts", self._facts(status)
        yield "work", work_table(status.in_flight, WORK_HEADING)

    def components(self, status: Status, numbers: Iterable[int]) -> Iterator[tuple[str, Markup]]:
        """Write the parts of some components."""
        held = self.held(status)
        for number in numbers:
            name = self.graph.names[number]
            component = status.components[name]
            yield f"box-{number}", box(component, held[name])
            yield f"row-{number}", row(component, self._needs[number])

    def held(self, status: Status) -> Counter[str | None]:
        """Count the work in flight of each component, once it is what is waited for."""
        if status.phase not in _WAITING:
            return Counter()
        return Counter(work.component for work in status.in_flight)

    def _steps(self, status: Status) -> Markup:
        phases, now = steps(status, delays=self.delays)
        place = phases.index(now)
        return join(
            element(
                "li",
                phase.value,
                class_="past" if number < place else None,
                aria_current="step" if number == place else None,
            )
            for number, phase in enumerate(phases)
        )

    def _facts(self, status: Status) -> Markup:
        work = [one.age for one in status.in_flight]
        oldest = (
            join(("oldest ", element("span", age(max(work)), data_age=max(work)))) if work else ""
        )
        facts = [
            _fact("Components", *progress(status)),
            _fact("In flight", str(len(work)) if work else "nothing", oldest),
            self._grace(status),
        ]
        return join(facts)

    def _grace(self, status: Status) -> Markup:
        whole = f"{self.grace_period:g} s"
        if status.time_left is None or status.outcome is not None:
            return _fact("Grace period", whole)
        left = element("span", age(status.time_left), data_left=status.time_left)
        bar = element(
            "progress",
            max=self.grace_period,
            value=status.time_left,
            data_left=status.time_left,
            aria_label="Time left of the grace period",
        )
        return _fact("Grace period", join((left, f" left of {whole}")), bar)


_WAITING = {Phase.DRAINING, Phase.CLOSING, Phase.ROLLING_BACK}


def pictures(graph: Graph) -> tuple[Layout, ...]:
    """Lay a graph out for a wide screen, and for a narrow one; nothing where it is too large."""
    across, down = _layout(graph, _ACROSS), _layout(graph, _DOWN)
    return tuple(found for found in (across, down) if found is not None and across is not None)


# What is laid out once need not be for the next viewer.
_layout = functools.lru_cache(maxsize=8)(layout)


def _headline(status: Status) -> Markup:
    told = headline(status)
    return join(
        (
            element("h2", sign(told.shape), element("span", told.word), class_=f"tone {told.tone}"),
            element("p", told.sentence),
            element("p", "Reason: ", element("bdi", status.reason), class_="quiet")
            if status.reason
            else "",
        )
    )


def _fact(term: str, *details: str) -> Markup:
    return element("div", element("dt", term), *(element("dd", one) for one in details if one))
