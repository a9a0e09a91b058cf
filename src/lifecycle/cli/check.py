"""``lifecycle check``: what a registry would do, and how long that can take. Nothing is started."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import lifecycle
from lifecycle import Settings
from lifecycle.cli.target import load_to_look
from lifecycle.errors import plural, seconds
from lifecycle.naming import given_name_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from lifecycle import Plan, Registry

TARGET = "what to check"
HELP = "check a registry without starting anything, and show its plan"
DESCRIPTION = """\
Check a registry without starting anything: show the order, what needs what, the critical path, and
how long start and shutdown can take at worst. With --verify its components are started, in virtual
time, thousands of times: leave out, or replace, what talks to the world.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        "--verify",
        action="store_true",
        help="live its life in virtual time, again and again, with everything that can go wrong",
    )
    parser.add_argument(
        "--without",
        metavar="NAME",
        action="append",
        default=[],
        help="leave a component out, such as one that talks to the world; may be repeated",
    )


def command(options: argparse.Namespace) -> int:
    """Show the plan of the target, and return 0; where it is verified, 1 if that found something.

    Raises:
        DefinitionError: the target, the declaration or the settings are wrong.

    """
    settings = Settings.from_env()
    registry = load_to_look(options.target)
    if options.without:
        registry = registry.without(*options.without)
    plan = registry.plan(settings)
    lifecycle.running(plan, settings)  # looks at the limits; nothing runs before it is entered
    sys.stdout.write("\n".join(describe(registry.name, plan, settings)) + "\n")
    return verify(options, registry) if options.verify else 0


def verify(options: argparse.Namespace, registry: Registry) -> int:
    """Let everything go wrong that can, and tell what was found; returns 1 if anything was."""
    from lifecycle import testing  # noqa: PLC0415  nothing else here needs it

    left_out = "".join(f".without({name!r})" for name in options.without)
    try:
        found: object = testing.verify(
            # Written so that it is right where it is pasted: it is read from here.
            registry,
            settings=Settings.from_env(),
            source=options.target + left_out,
        )
    except testing.BrokenPromiseError as error:
        found = error
    sys.stdout.write(f"\n{found}\n")
    return int(isinstance(found, Exception))


def describe(name: str, plan: Plan, settings: Settings) -> Iterator[str]:
    """Describe a plan to a person, line by line."""
    yield f"{name}: {plural(len(plan.components), 'component')}, nothing was started."
    if plan.checks:
        yield ""
        yield "Before the first component, all at once:"
        yield from (f"  check {given_name_of(check)}" for check in plan.checks)
    if plan.components:
        yield ""
        yield "In this order, each as soon as what it needs is ready; the end is the reverse:"
        yield from _components(plan)
    if plan.critical_path:
        yield ""
        yield f"Critical path: {' -> '.join(plan.critical_path)}"
    yield ""
    yield f"Start, at worst:     {seconds(plan.worst_start)}"
    yield f"Shutdown, at worst:  {seconds(plan.worst_shutdown)}"
    yield f"Grace period:        {seconds(settings.grace_period)}"
    if plan.worst_shutdown > settings.grace_period:
        yield ""
        yield (
            "Warning: if each hook took all of its time, the shutdown would not fit into the grace "
            "period;\nwhat is still running then is cut off (exit code 75). Give a longer "
            "grace_period, and let the\nplatform grant it, or shorter drain_timeout and "
            "stop_timeout."
        )


def _components(plan: Plan) -> Iterator[str]:
    number_width = len(str(len(plan.components)))
    name_width = max(len(node.name) for node in plan.components)
    for number, node in enumerate(plan.components, start=1):
        needs = [
            f"{relation} {', '.join(plan.components[other].name for other in others)}"
            for relation, others in _relations(node.requires, node.wants, node.after)
        ]
        if node.optional:
            needs.append("optional")
        line = f"  {number:>{number_width}}  {node.name:<{name_width}}  {'; '.join(needs)}"
        yield line.rstrip()


def _relations(
    requires: Sequence[int], wants: Sequence[int], after: Sequence[int]
) -> Iterator[tuple[str, Sequence[int]]]:
    relations = (("requires", requires), ("wants", wants), ("after", after))
    return ((relation, others) for relation, others in relations if others)
