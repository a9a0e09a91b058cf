"""The account of a run: what went wrong, how long everything took, what was cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle._core.outcome import Verdict
from lifecycle._engine.cancellation import is_cut_work
from lifecycle.errors import (
    DrainTimeoutError,
    PreflightError,
    RunError,
    StopError,
    add_note,
    leaf,
    one_line,
)
from lifecycle.report import Abandoned, ComponentReport, Report, Work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle._core.component import Node
    from lifecycle.errors import Hook
    from lifecycle.states import State


class Account:
    """Everything that the report will say."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        """Nothing has happened yet."""
        self.verdict = Verdict()
        self.errors: list[BaseException] = []
        self.component_errors: dict[int, BaseException] = {}
        self.hook_errors: dict[tuple[int, str], BaseException] = {}
        self.times: dict[Hook, dict[int, float]] = {"start": {}, "drain": {}, "stop": {}}
        self.cut: list[Work] = []
        self.abandoned: list[Abandoned] = []
        self._nodes = nodes

    def start_failed(self, error: BaseException, component: int | None = None) -> None:
        """A component, companion or check did not start or pass."""
        self.note(error, component)
        if not self.verdict.crashed:
            self.verdict.start_failed = True
        if (
            isinstance(error, PreflightError)
            and error.exit_code is not None
            and self.verdict.preflight_code is None
        ):
            self.verdict.preflight_code = error.exit_code

    def incomplete(self, error: BaseException, component: int | None = None) -> None:
        """A hook failed, or work was cut off."""
        hook = "drain" if isinstance(error, DrainTimeoutError) else getattr(error, "hook", None)
        if component is not None and hook is not None:
            self.hook_errors.setdefault((component, hook), error)
        self.note(error, component)
        self.verdict.incomplete = True

    def hook_failed(self, node: Node, hook: Hook, error: BaseException) -> None:
        """A drain or stop hook raised."""
        if is_cut_work(error):
            self.verdict.incomplete = True  # noted when the work was cut
            return
        failure = StopError(node.name, hook)
        failure.__cause__ = leaf(error)
        self.incomplete(failure, node.index)

    def note(self, error: BaseException, component: int | None = None) -> None:
        """Something went wrong."""
        self.errors.append(error)
        self.of_component(error, component)

    def of_component(self, error: BaseException, component: int | None) -> None:
        """Something went wrong with a component, and concerns nobody else."""
        if component is not None:
            self.component_errors.setdefault(component, error)

    def of_optional(self, error: BaseException, component: int) -> None:
        """Something of that kind; where another error has its place, it stands with all others."""
        if component in self.component_errors:
            self.note(error)
        else:
            self.component_errors[component] = error

    def report(self, states: Sequence[State], reason: str, duration: float) -> Report:
        """Draw it up; the first error carries it, and names the others."""
        names = [node.name for node in self._nodes]
        components = {
            node.name: ComponentReport(
                name=node.name,
                state=states[node.index],
                error=self.component_errors.get(node.index),
                start_time=self.times["start"].get(node.index),
                drain_time=self.times["drain"].get(node.index),
                stop_time=self.times["stop"].get(node.index),
                optional=node.optional,
                requires=tuple([names[d] for d in node.dependencies]),
            )
            for node in self._nodes
        }
        report = Report(
            outcome=self.verdict.outcome,
            exit_code=self.verdict.exit_code,
            reason=reason,
            errors=tuple(self.errors),
            components=components,
            in_flight=tuple(self.cut),
            abandoned=tuple(self.abandoned),
            duration=duration,
        )
        if self.errors:
            first = self.errors[0]
            if isinstance(first, RunError):
                first.report = report
            for other in self.errors[1:]:
                add_note(first, f"also: {one_line(other)}")
        return report
