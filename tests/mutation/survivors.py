"""Mutants that survive, and the file in which it is explained why."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_FILE = Path(__file__).with_name("survivors.md")
_HEADING_OR_DIFF = re.compile(
    r"^## `(?P<file>.*?)`$|^```diff\n(?P<diff>.*?)^```$", re.MULTILINE | re.DOTALL
)


class Survivor(NamedTuple):
    """A change in one file that no test notices."""

    file: str
    removed: tuple[str, ...]
    added: tuple[str, ...]

    @classmethod
    def of(cls, file: str, diff: str) -> Survivor:
        """Read the lines of a diff that are changed."""
        lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
        removed = (line[1:].strip() for line in lines if line.startswith("-"))
        added = (line[1:].strip() for line in lines if line.startswith("+"))
        return cls(file, tuple(removed), tuple(added))

    def __str__(self) -> str:
        """Write it as ``survivors.md`` has it."""
        lines = [*(f"-{line}" for line in self.removed), *(f"+{line}" for line in self.added)]
        return "\n".join([self.file, *lines])


def explained() -> list[Survivor]:
    """Those of which ``survivors.md`` says why."""
    found, file = [], ""
    for match in _HEADING_OR_DIFF.finditer(_FILE.read_text("utf-8")):
        if match["file"]:
            file = match["file"]
        else:
            found.append(Survivor.of(file, match["diff"]))
    return found
