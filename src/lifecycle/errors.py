"""Everything that `lifecycle` raises, in two families.

:class:`DefinitionError`: what was declared cannot run; raised before any hook has run.
:class:`RunError`: what happened while a system ran.

Each error has fields, and its sentence is derived from them: who, what, what is known, what to do.
The user's own exception is the ``__cause__``.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import attrs
from typing_extensions import Self, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.report import Report
    from lifecycle.states import State

Hook = Literal["start", "drain", "stop", "check"]
E = TypeVar("E", bound=BaseException)


@dataclass_transform(eq_default=False, field_specifiers=(attrs.field,))
def _error(cls: type[E]) -> type[E]:
    # Exceptions made with attrs keep working with `raise from`, notes, groups and pickling as long
    # as they compare by identity and take their fields by position.
    return attrs.define(cls, eq=False, repr=False, slots=False, str=False)


def seconds(duration: float) -> str:
    """Write a duration as a person would: ``10 s``, ``0.25 s``."""
    return f"{round(duration, 3 if duration < 1 else 1):g} s"


def plural(number: int, noun: str, plural_noun: str | None = None) -> str:
    """Write a number and its noun: ``1 component``, ``3 components``."""
    return f"{number} {noun if number == 1 else plural_noun or noun + 's'}"


def add_note(error: BaseException, note: str) -> None:
    """Add a note to an exception, on Python 3.10 too (PEP 678 came with 3.11)."""
    if sys.version_info >= (3, 11):
        error.add_note(note)
    else:
        notes = getattr(error, "__notes__", [])
        error.__dict__["__notes__"] = [*notes, note]


# No built-in name on Python 3.10, where anyio brings the backport that its groups are of.
_Group: type[Any] = import_module(
    "builtins" if sys.version_info >= (3, 11) else "exceptiongroup"
).BaseExceptionGroup


def parts_of(error: BaseException) -> tuple[BaseException, ...]:
    """The exceptions in a group; none of what is no group, whatever attributes it has."""
    return getattr(error, "exceptions", ()) if isinstance(error, _Group) else ()


def is_only(error: BaseException, kinds: tuple[type[BaseException], ...]) -> bool:
    """Whether an exception is of one of these classes, or a group of nothing else."""
    parts = parts_of(error)
    return all(is_only(one, kinds) for one in parts) if parts else isinstance(error, kinds)


def leaf(error: BaseException) -> BaseException:
    """The one exception in a group of one, however deep."""
    parts = parts_of(error)
    while len(parts) == 1:
        error = parts[0]
        parts = parts_of(error)
    return error


def one_line(error: BaseException) -> str:
    """Write an exception as ``Type: message``, as the last line of its traceback would be."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  the user's own, and it must not hide what went wrong
        text = "(its text cannot be had)"
    name = type(error).__name__
    return f"{name}: {text}" if text else name


class LifecycleError(Exception):
    """The base of everything that `lifecycle` raises."""

    def __str__(self) -> str:
        return self._sentence()

    # Written once, since making one for each class is what importing them takes longest for.
    def __repr__(self) -> str:
        kind = type(self)
        if not attrs.has(kind):
            return super().__repr__()
        shown = (field.name for field in attrs.fields(kind) if field.repr)
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{kind.__name__}({fields})"

    def _sentence(self) -> str:
        return Exception.__str__(self)


# --- before anything ran ------------------------------------------------------------------------


@_error
class DefinitionError(LifecycleError):
    """What was declared cannot run. Raised by `plan`, before any hook was called."""

    problem: str

    def _sentence(self) -> str:
        return self.problem


@_error
class CycleError(DefinitionError):
    """Components require each other in a circle, or depend on each other in another way."""

    problem: str = attrs.field(init=False, default="", repr=False)
    path: tuple[str, ...]
    """The names along the circle; the last is the first again."""
    relation: str = "requires"
    """What each is to the next: ``requires``, ``wants`` or ``starts after``; ``depends on`` where
    it is not the same for all."""

    def _sentence(self) -> str:
        if len(set(self.path)) == 1:
            return f"{min(self.path)!r} {self.relation} itself"
        verb, *more = self.relation.split()
        relate = " ".join((verb.removesuffix("s"), *more))
        return f"components {relate} each other in a circle: {' -> '.join(self.path)}"


@_error
class UnknownComponentError(DefinitionError):
    """A component names another one that is not there."""

    problem: str = attrs.field(init=False, default="", repr=False)
    name: str
    """The name that was not found."""
    wanted_by: str
    """The component, or the caller, that named it."""
    relation: str = "requires"
    suggestions: tuple[str, ...] = ()
    """Names that are there and look alike."""
    hint: str = ""
    """What is known of why it is not there (disabled, removed by ``without``, not included)."""

    def _sentence(self) -> str:
        text = f"{self.wanted_by!r} {self.relation} {self.name!r}, and "
        text += self.hint or "no component has that name."
        if self.suggestions:
            text += f" Did you mean {' or '.join(map(repr, self.suggestions))}?"
        return text


@_error
class DuplicateComponentError(DefinitionError):
    """Two components have the same name."""

    problem: str = attrs.field(init=False, default="", repr=False)
    name: str
    first: str
    """Where the first was declared, as ``file:line``."""
    second: str
    """Where the second was declared."""

    def _sentence(self) -> str:
        if self.first == self.second:
            return (
                f"{self.name!r} is registered twice, both times at {self.first}. Give each its own "
                "`name=`; or, if the module was imported twice, as `__main__` and by its name, "
                "keep the registry in a module that the entry point imports."
            )
        return (
            f"{self.name!r} is registered twice: at {self.first} and at {self.second}. "
            "Give one of them another `name=`."
        )


@_error
class InvalidComponentError(DefinitionError):
    """A component is declared in a way that cannot work."""

    problem: str = attrs.field(init=False, default="", repr=False)
    component: str
    reason: str
    """What is wrong with it and what to do."""

    def _sentence(self) -> str:
        return f"{self.component!r} {self.reason}"


@_error
class SettingsError(DefinitionError):
    """A setting has a value that cannot be used."""

    problem: str = attrs.field(init=False, default="", repr=False)
    name: str
    """The field, or the environment variable, that holds the value."""
    value: object
    expected: str
    """What would have been accepted."""

    def _sentence(self) -> str:
        return f"{self.name} is {self.value!r}, but must be {self.expected}"


# --- while a system ran -------------------------------------------------------------------------


class RunError(LifecycleError):
    """Something that happened while a system ran."""

    report: Report | None = None
    """The report of the whole run, on the error that :func:`lifecycle.running` raises."""

    def again(self) -> Self:
        """A fresh copy, so that many callers can be told without sharing one traceback."""
        copy = type(self)(*self.args)
        copy.__cause__ = self.__cause__
        copy.__dict__.update(self.__dict__)
        notes: list[str] | None = copy.__dict__.get("__notes__")
        if notes is not None:  # what is added to one is no business of the others
            copy.__dict__["__notes__"] = list(notes)
        return copy


@_error
class PreflightError(RunError):
    """A preflight check did not pass, so nothing was started."""

    check: str
    reason: str
    """What was found and what to do."""
    exit_code: int | None = None
    """The exit code of the failed command, which becomes that of the program."""

    def _sentence(self) -> str:
        return f"preflight check {self.check!r} failed: {self.reason}"


@_error
class StartError(RunError):
    """A component did not start."""

    component: str
    reason: str = ""

    def _sentence(self) -> str:
        text = f"{self.component!r} did not start"
        if self.reason:
            return f"{text}: {self.reason}"
        if self.__cause__ is not None:
            return f"{text}: {one_line(self.__cause__)}"
        return text


@_error
class StartTimeoutError(StartError):
    """A component was not ready in time."""

    reason: str = ""
    timeout: float = 0.0
    """The limit that ran out, in seconds."""
    waits_for: tuple[tuple[str, str, float], ...] = ()
    """What its hook was waiting for: name, state, and for how many seconds it has been so."""
    limit: str = ""
    """The setting that ran out, where it is not the component's own ``start_timeout``."""

    def _sentence(self) -> str:
        text = f"{self.component!r} was not ready after {seconds(self.timeout)}"
        if self.limit:
            text += f" ({self.limit})"
        text += f": {self.reason or 'it is still starting'}"
        if self.waits_for:
            others = (f"{name!r} ({state} for {seconds(d)})" for name, state, d in self.waits_for)
            text += f", and waits for {', '.join(others)}"
        return text


@_error
class DrainTimeoutError(RunError):
    """Work was still in flight when the time to drain ran out, and was cut off."""

    component: str | None
    """Whose work or drain hook it was; None for work that belongs to no component."""
    in_flight: tuple[str, ...] = ()
    """What was cut off, as it was described to ``hold``."""
    timeout: float = 0.0
    """The time that there was, in seconds."""
    forced: bool = False
    """Whether a second interrupt has ended that time, and no timeout."""

    def _sentence(self) -> str:
        who = "the system" if self.component is None else repr(self.component)
        when = f"when its {seconds(self.timeout)} to drain ran out"
        if self.forced:
            when = f"when a second interrupt ended its drain, after {seconds(self.timeout)}"
        if not self.in_flight:
            return f"{who} had not drained {when}; its drain was cancelled"
        were = "it was" if len(self.in_flight) == 1 else "they were"
        work = plural(len(self.in_flight), "piece of work", "pieces of work")
        return f"{who} still had {work} in flight {when}; {were} cancelled: {_few(self.in_flight)}"


@_error
class StopError(RunError):
    """A drain or stop hook failed, or did not end in time.

    So is told, too, what a start or a check does once it is cancelled: a start that fails as it
    unwinds, and either of them where it is abandoned.
    """

    component: str
    """The component; or the companion, or the preflight check."""
    hook: Hook = "stop"
    """Which of its hooks it was."""
    timeout: float | None = None
    """The time that ran out, in seconds; None where the hook raised."""
    abandoned: bool = False
    """Whether it went on after its cancellation and was left behind."""
    never_called: bool = False
    """Whether it could not even be called: its drain hook still ran."""

    def _sentence(self) -> str:
        hook = f"the {self.hook} hook of {self.component!r}"
        if self.never_called:
            text = f"{hook} could not be called within {seconds(self.timeout or 0.0)}"
            return f"{text}: its drain hook still ran"
        if self.timeout is None:
            cause = "" if self.__cause__ is None else f": {one_line(self.__cause__)}"
            return f"{hook} failed{cause}"
        text = f"{hook} had not ended after {seconds(self.timeout)} and was cancelled"
        if self.abandoned:
            text += "; it ignored that and was abandoned"
        return text


@_error
class CrashedError(RunError):
    """A component ended by itself while it was to run."""

    component: str
    reason: str = ""

    def _sentence(self) -> str:
        text = f"{self.component!r} crashed"
        if self.reason:
            return f"{text}: {self.reason}"
        if self.__cause__ is not None:
            return f"{text}: {one_line(self.__cause__)}"
        return text


@_error
class WorkCancelledError(RunError):
    """A piece of work was cut off: the time to drain was over, or trouble had it cancelled."""

    what: str
    component: str | None = None
    reason: str = ""
    """What cut it off, where it was not the end of the time to drain."""

    def _sentence(self) -> str:
        whose = "" if self.component is None else f" of {self.component!r}"
        reason = self.reason or "the time to drain was over before it had ended"
        return f"{self.what!r}{whose} was cut off: {reason}"


@_error
class NotReadyError(RunError):
    """A component was used before it was ready."""

    component: str
    state: State
    since: float
    """For how many seconds it has been in that state."""
    waits_for: tuple[str, ...] = ()

    def _sentence(self) -> str:
        text = f"{self.component!r} is not ready: {self.state} for {seconds(self.since)}"
        if self.waits_for:
            text += f", waiting for {_few(self.waits_for)}"
        return f"{text}. Require it, or await `system.ready(…)` first"


@_error
class ClosedError(RunError):
    """The system, or a component of it, has ended or is ending."""

    component: str | None = None
    reason: str = ""

    def _sentence(self) -> str:
        who = "the system" if self.component is None else repr(self.component)
        text = f"{who} is closed, or closing"
        return f"{text}: {self.reason}" if self.reason else text


@_error
class DeadlockError(RunError):
    """A wait that could never have ended."""

    path: tuple[str, ...]
    """Who waits for whom; where it is a circle, the last is the first again."""
    reason: str = ""

    def _sentence(self) -> str:
        if self.reason:
            return self.reason
        return f"this wait could never end: {' -> waits for '.join(map(repr, self.path))}"


def _few(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    more = len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown
