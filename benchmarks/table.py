"""How ratios are printed."""

from __future__ import annotations

from benchmarks.measuring import Heading, Line, Row

_HEAD = f"{'':34}{'ratio':>8}{'half of them':>16}{'aim':>9}"


def head(name: str, title: str) -> str:
    """What stands above a table."""
    return f"\n{name}\n{title}\n{_HEAD}"


def line(of: Line) -> str:
    """One line."""
    if isinstance(of, Heading):
        return of.text
    spread = "" if of.low is None or of.high is None else f"{_number(of.low)} to {_number(of.high)}"
    aim = "" if of.aim is None else f"<= {of.aim:g}"
    verdict = {None: "", True: "holds", False: "DOES NOT HOLD"}[of.holds]
    text = f"  {of.what:32}{_number(of.ratio):>8}{spread:>16}{aim:>9}  {verdict:14}{of.note}"
    return text.rstrip()


def verdict(rows: list[Row]) -> str:
    """What stands below all tables."""
    with_aim = [each for each in rows if each.aim is not None]
    held = sum(bool(each.holds) for each in with_aim)
    return f"\n{held} of {len(with_aim)} aims hold."


def _number(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 100 else f"{ratio:.0f}"  # noqa: PLR2004
