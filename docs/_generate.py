"""The directive `generated`: tables that are written from the source, so that they cannot drift."""

from __future__ import annotations

import typing
from signal import Signals
from typing import TYPE_CHECKING, Any

import attrs
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

from lifecycle import ExitCode, Settings, errors, events
from lifecycle._core import transitions
from lifecycle.integrations.prometheus._families import COUNTERS, GAUGES
from lifecycle.settings import DEFAULT_SIGNALS, Response
from lifecycle.settings.durations import Seconds
from lifecycle.states import Outcome, Phase, State, Trigger

if TYPE_CHECKING:
    import enum
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from docutils.nodes import Node
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

Row = tuple[str, ...]


def settings() -> Iterator[Row]:
    """Every setting, with its variable and its default."""
    yield "Setting", "Variable", "Default", ""
    said = sentences(Settings)
    for field in attrs.fields(Settings):
        yield f"``{field.name}``", variable(field), default(field), said[field.name]


def variable(field: attrs.Attribute[Any]) -> str:
    """What operations set in its place."""
    if field.name == "limits":
        return "``LIFECYCLE_<COMPONENT>_START_TIMEOUT``, ``…_DRAIN_TIMEOUT``, ``…_STOP_TIMEOUT``"
    return f"``LIFECYCLE_{field.name.upper()}``"


def default(field: attrs.Attribute[Any]) -> str:
    """What holds where nobody says otherwise."""
    if field.default is DEFAULT_SIGNALS:
        return ", ".join(f"{number.name} {to}" for number, to in named(DEFAULT_SIGNALS))
    if field.name == "limits":
        return "none"
    unit = " s" if isinstance(field.validator, Seconds) and field.default is not None else ""
    return f"{field.default:g}{unit}" if unit else f"``{field.default}``"


def named(policy: Mapping[int, Response]) -> Iterator[tuple[Signals, Response]]:
    """Give the signals as what they are, an enumeration."""
    return ((Signals(number), response) for number, response in policy.items())


def signals() -> Iterator[Row]:
    """What each signal asks for, where no setting says otherwise."""
    yield "Signal", "Response", ""
    said = sentences(Response)
    for number, response in named(DEFAULT_SIGNALS):
        yield number.name, str(response), said[response.name]


def words(enumeration: type[enum.Enum]) -> Callable[[], Iterator[Row]]:
    """Make a table of the members of an enumeration, and what they mean."""

    def rows() -> Iterator[Row]:
        said = sentences(enumeration)
        yield enumeration.__name__, ""
        for member in enumeration:
            yield f"``{member.name}``", said.get(member.name, "")

    return rows


def exit_codes() -> Iterator[Row]:
    """What `run` ends the process with."""
    yield "Code", "Name", ""
    said = sentences(ExitCode)
    for code in ExitCode:
        yield str(code.value), f"``{code.name}``", said[code.name]


def steps(table: Mapping[Any, Mapping[Any, Any]], facts: type[enum.Enum]) -> Iterator[Row]:
    """One of the two tables that the machine runs: a row for each step that there is."""
    said = sentences(facts)
    yield "In", "when", "becomes", ""
    for state, ways in table.items():
        where = f"``{state.name}``"
        if not ways:
            yield where, "(the end)", "", ""
        for fact, to in ways.items():
            stays = to is state
            yield where, fact.value, "stays" if stays else f"``{to.name}``", said.get(fact.name, "")
            where = ""


def event_rows() -> Iterator[Row]:
    """Every event of the closed union."""
    yield "Event", "", "Fields"
    for event in typing.get_args(events.Event):
        fields = (f"``{one.name}``" for one in attrs.fields(event) if one.name != "at")
        yield (
            f":class:`~lifecycle.events.{event.__name__}`",
            first(event.__doc__),
            ", ".join(fields),
        )


def error_rows(family: type[Exception]) -> Callable[[], Iterator[Row]]:
    """Make a table of a family of errors, each below what it is a kind of."""

    def rows() -> Iterator[Row]:
        yield "Error", "", "Fields"
        for error in kinds_of(family):
            names = (
                f"``{one.name}``"
                for one in (attrs.fields(error) if attrs.has(error) else ())
                if one.init
            )
            yield (
                f":exc:`~lifecycle.errors.{error.__name__}`",
                first(error.__doc__),
                ", ".join(names),
            )

    return rows


def kinds_of(family: type[Exception]) -> Iterator[type[Exception]]:
    """A class and those derived from it, in the order of the source."""
    return (
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, family)
    )


def metrics() -> Iterator[Row]:
    """Everything that is shown to Prometheus."""
    yield "Metric", "Labels", ""
    for family in (*GAUGES, *COUNTERS):
        labels = (f"``{label}``" for label in family.labels)
        yield f"``lifecycle_{family.name}``", ", ".join(labels), family.help


TABLES: dict[str, Callable[[], Iterable[Row]]] = {
    "settings": settings,
    "signals": signals,
    "exit-codes": exit_codes,
    "outcomes": words(Outcome),
    "triggers": words(Trigger),
    "phases": words(Phase),
    "states": words(State),
    "component-steps": lambda: steps(transitions.COMPONENT, transitions.Fact),
    "system-steps": lambda: steps(transitions.SYSTEM, transitions.Cause),
    "events": event_rows,
    "metrics": metrics,
    "definition-errors": error_rows(errors.DefinitionError),
    "run-errors": error_rows(errors.RunError),
}


def sentences(owner: type) -> dict[str, str]:
    """What the source says of each attribute of a class, in the first sentence of its docstring."""
    docs = ModuleAnalyzer.for_module(owner.__module__).find_attr_docs()
    return {
        name: first("\n".join(lines))
        for (scope, name), lines in docs.items()
        if scope == owner.__qualname__
    }


def first(text: str | None) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((text or "").strip().partition("\n\n")[0].split())


def list_table(rows: Iterable[Row]) -> Iterator[str]:
    """Write a table as reStructuredText, which is what docstrings are written in."""
    yield "```{eval-rst}"
    yield ".. list-table::"
    yield "   :header-rows: 1"
    yield ""
    for row in rows:
        for number, cell in enumerate(row):
            yield f"   {' ' if number else '*'} - {cell}".rstrip()
    yield "```"


class Generated(SphinxDirective):
    """A table by its name: ``{generated} settings``."""

    required_arguments = 1

    def run(self) -> list[Node]:
        """Write the table, and let the parser of the page read it."""
        for module in (errors, events, transitions):
            self.env.note_dependency(str(module.__file__))
        return self.parse_text_to_nodes("\n".join(list_table(TABLES[self.arguments[0]]())))


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect the directive into the build."""
    app.add_directive("generated", Generated)
    return {"parallel_read_safe": True}
