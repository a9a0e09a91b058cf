"""``lifecycle graph``: what needs what, to be drawn by Mermaid or Graphviz. Nothing is started."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from lifecycle import Settings
from lifecycle.cli.target import load_to_look

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lifecycle import Plan

TARGET = "what to draw"
HELP = "write the graph of a registry, for Mermaid or Graphviz"
DESCRIPTION = """\
Write the graph of a registry: for Mermaid, which GitHub and GitLab draw in Markdown, or for
Graphviz. An arrow leads from what starts first to what needs it. It is dashed where that is only
wanted, and where only the order counts it says so, or is dotted. The critical path is thick, and
what is optional has a dashed border.
"""


class Edge(NamedTuple):
    """One component before another, by their index in the plan."""

    first: int
    then: int
    relation: str
    critical: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        "--format",
        choices=tuple(_FORMATS),
        default="mermaid",
        help="for whom (default: %(default)s)",
    )


def command(options: argparse.Namespace) -> int:
    """Write the graph of the target, and return 0.

    Raises:
        DefinitionError: the target, the declaration or the settings are wrong.

    """
    settings = Settings.from_env()
    registry = load_to_look(options.target)
    lines = _FORMATS[options.format](registry.name, registry.plan(settings))
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def edges(plan: Plan) -> Iterator[Edge]:
    """All that is between two components, each pair once, by the strongest relation."""
    critical = set(pairwise(plan.critical_path))
    for node in plan.components:
        told: set[int] = set()
        relations = (("requires", node.requires), ("wants", node.wants), ("after", node.after))
        for relation, others in relations:
            for first in others:
                if first not in told:
                    told.add(first)
                    is_critical = (plan.components[first].name, node.name) in critical
                    yield Edge(first, node.index, relation, is_critical)


_MERMAID: Final = {"requires": "-->", "wants": "-.->", "after": "-. after .->"}


def mermaid(name: str, plan: Plan) -> Iterator[str]:
    """Write the graph in the language of Mermaid."""
    yield "---"
    yield f"title: {_quoted(name)}"
    yield "---"
    yield "flowchart LR"
    for node in plan.components:
        label = node.name.replace('"', "#quot;")
        yield f'    {node.index}["{label}"]{":::optional" if node.optional else ""}'
    critical: list[int] = []
    for number, edge in enumerate(edges(plan)):
        yield f"    {edge.first} {_MERMAID[edge.relation]} {edge.then}"
        if edge.critical:
            critical.append(number)
    if critical:
        yield f"    linkStyle {','.join(map(str, critical))} stroke-width:4px"
    if any(node.optional for node in plan.components):
        yield "    classDef optional stroke-dasharray:4"


_GRAPHVIZ: Final = {"requires": "solid", "wants": "dashed", "after": "dotted"}


def graphviz(name: str, plan: Plan) -> Iterator[str]:
    """Write the graph in the language of Graphviz."""
    yield f"digraph {_quoted(name)} {{"
    yield "    rankdir=LR"
    yield "    node [shape=box]"
    for node in plan.components:
        yield f"    {_quoted(node.name)}{' [style=dashed]' if node.optional else ''}"
    for edge in edges(plan):
        first, then = (_quoted(plan.components[i].name) for i in (edge.first, edge.then))
        width = ", penwidth=3" if edge.critical else ""
        yield f"    {first} -> {then} [style={_GRAPHVIZ[edge.relation]}{width}]"
    yield "}"


_FORMATS: Final = {"mermaid": mermaid, "graphviz": graphviz}


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
