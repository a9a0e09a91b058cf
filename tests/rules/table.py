"""The table of rules in ARCHITECTURE.md, made from the tests: ``nox -s rules`` writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.rules.finding import ARCHITECTURE, DECISIONS, changed_rules, files_of_rules
from tests.rules.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGIN: Final = "<!-- rules: made by `nox -s rules` -->\n"
END: Final = "<!-- rules: end -->\n"


def table() -> str:
    """Make the table: each rule, where its tests are, and whether it was changed."""
    return "".join(f"{line}\n" for line in _lines())


def _lines() -> Iterator[str]:
    anchor = DECISIONS.lower().replace(",", "").replace(" ", "-")
    files, changed = files_of_rules(), changed_rules()
    yield "| rule | says | held by tests in | |"
    yield "|---|---|---|---|"
    for rule, says in RULES.items():
        where = ", ".join(f"`{path.removeprefix('tests/')}`" for path in files.get(rule, ()))
        decided = f"[decided](#{anchor})" if rule in changed else ""
        yield f"| {rule} | {says} | {where} | {decided} |"


def written() -> str:
    """The table that ARCHITECTURE.md has now."""
    return ARCHITECTURE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def write() -> None:
    """Put the table in its place."""
    before, begin, rest = ARCHITECTURE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    ARCHITECTURE.write_text(before + begin + table() + end + after, encoding="utf-8")


if __name__ == "__main__":
    write()
