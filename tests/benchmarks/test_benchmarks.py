"""The benchmarks, as far as they work: what they measure is for `nox -s bench`, not for a test."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import ALL
from benchmarks.graphs import chain, critical_path, critical_path_of_stop, layered, tree, wide
from benchmarks.growth import exponent
from benchmarks.measuring import Row, in_turns, ratios, row
from benchmarks.table import line, verdict

ROOT = Path(__file__).parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run them, as the session does."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False
    )


@pytest.mark.parametrize("name", ALL)
def test_each_benchmark_works(name: str) -> None:
    """In its quick form each benchmark runs to its end, and prints a table with ratios."""
    ran = bench("--quick", name)
    assert (ran.returncode, ran.stderr) == (0, "")
    _, table, _ = ran.stdout.split("\n\n")
    title, _, head, *lines = table.splitlines()
    assert (title, *head.split()) == (name, "ratio", "half", "of", "them", "aim")
    assert re.search(r"^  .* \d+(\.\d\d)? ", "\n".join(lines), re.MULTILINE)


def test_an_unknown_one_is_refused() -> None:
    """A name that no benchmark has is an error that says which there are."""
    ran = bench("holds")
    assert ran.returncode == 2
    assert "no benchmark is called 'holds'; there are start_stop, growth," in ran.stderr


def test_sides_take_turns() -> None:
    """Ours and the peer's run in turns, and who is first changes; one turn gives one ratio."""
    ran: list[str] = []

    def ours() -> float:
        ran.append("ours")
        return 3.0 * len(ran)

    def peer() -> float:
        ran.append("peer")
        return 1.0 * len(ran)

    taken = in_turns(2, ours, peer)
    assert ran == ["ours", "peer", "peer", "ours"]
    assert taken == [(3.0, 2.0), (12.0, 3.0)]
    assert ratios(taken) == [1.5, 4.0]


@pytest.mark.parametrize(
    ("ratio", "held", "says"), [(0.98, 1, "holds"), (1.02, 0, "DOES NOT HOLD")]
)
def test_an_aim_is_met_or_not(ratio: float, held: int, says: str) -> None:
    """A ratio above its aim is said not to hold, and counted so."""
    measured = row("chain", [ratio, 0.5, 2.0], aim=1.0)
    assert (measured.ratio, measured.holds) == (ratio, bool(held))
    assert says in line(measured)
    assert verdict([measured, Row("told only", 7.0)]) == f"\n{held} of 1 aims hold."


def test_an_exponent_is_that_of_the_power_law() -> None:
    """Times that grow with the square have the exponent 2, whatever the unit."""
    assert exponent((10, 100, 1000), [7.0, 700.0, 70000.0]) == pytest.approx(2.0)


def test_the_graphs_are_what_they_are_called() -> None:
    """Each shape has its edges, and its longest chain is its critical path, both ways."""
    assert chain(3) == [[], [0], [1]]
    assert wide(3) == [[], [], []]
    assert tree(5) == [[], [0], [0], [1], [1]]
    assert layered(16)[4:6] == [[0, 1, 2], [1, 2, 3]]
    seconds = [1.0, 2.0, 4.0, 8.0, 16.0]
    assert critical_path(tree(5), seconds) == 1.0 + 2.0 + 16.0
    assert critical_path_of_stop(tree(5), seconds) == 1.0 + 2.0 + 16.0
    assert critical_path(chain(5), seconds) == sum(seconds)
    assert critical_path(wide(5), seconds) == max(seconds)
