"""Which tests hold which rule, and which rules were changed: read from the source."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
DECISIONS = "Decisions, where the design left room"
_RULE = re.compile(r"\b[GSRDBPTK]\d{1,2}\b")


def files_of_rules() -> dict[str, list[str]]:
    """For each rule the files in which tests carry its id."""
    files: dict[str, dict[str, None]] = {}
    for rule, path in _marks():
        files.setdefault(rule, {})[path] = None
    return {rule: list(paths) for rule, paths in files.items()}


def _marks() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.rule"):
                for argument in node.args:
                    yield ast.literal_eval(argument), path.relative_to(ROOT).as_posix()


def changed_rules() -> set[str]:
    """The rules that decisions in ARCHITECTURE.md name, since they changed or filled them in."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    section = text.partition(f"## {DECISIONS}\n")[2].partition("\n## ")[0]
    rows = (line for line in section.splitlines() if line.startswith("|"))
    return {rule for row in rows for rule in _RULE.findall(row)}
