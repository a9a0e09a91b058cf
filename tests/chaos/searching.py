"""Plays many scripts, one seed after the other, and says how to have what fails again."""

from __future__ import annotations

import gc
import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import attrs

from tests.chaos.drawing import draw
from tests.chaos.oracle import Breach, breaches
from tests.chaos.shrinking import shrink, text
from tests.chaos.stage import Loop, play

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator

    from tests.chaos.script import Script
    from tests.chaos.story import Story

LOOPS: Final[tuple[Loop, ...]] = (
    "asyncio",
    *(("eager",) if sys.version_info >= (3, 12) else ()),
    "uvloop",
    "trio",
)


@attrs.frozen
class Found:
    """A script that breaks an invariant."""

    seed: str
    loop: Loop
    breaches: tuple[Breach, ...]
    script: Script
    """The smallest that breaks it."""
    story: Story

    def __str__(self) -> str:
        """Tell what is broken, how it goes, and how to have it again."""
        lines = [
            f"on {self.loop}, seed {self.seed!r}:",
            *(f"  {breach}" for breach in self.breaches),
            "the smallest script that does it, to be pasted into tests/chaos/test_found.py:",
            f"  {text(self.script)}",
            "what happens in it:",
            self.story.text(),
        ]
        report = self.story.report
        if report is not None:
            lines += [f"  {report.outcome}, {report.exit_code}", *map(repr, report.errors)]
        return "\n".join(lines)


def search(
    seed: str,
    loop: Loop,
    numbers: Iterable[int],
    outcomes: Counter[str],
    *,
    smallest: bool = True,
) -> Found | None:
    """Play scripts until one breaks an invariant; None where none does."""
    with _quiet():
        for number in numbers:
            own = f"{seed}:{number}"
            script = draw(own)
            story = play(script, loop)
            broken = breaches(story)
            outcomes[str(story.report.outcome) if story.report else "not begun"] += 1
            if broken and smallest:
                return _smallest(own, loop, script, broken)
            if broken:
                return Found(own, loop, tuple(broken), script, story)
    return None


def check(script: Script, loop: Loop) -> list[Breach]:
    """Play one script; says what it breaks."""
    with _quiet():
        return breaches(play(script, loop))


def _smallest(seed: str, loop: Loop, script: Script, broken: list[Breach]) -> Found:
    """Make it smaller, as long as it breaks the same invariant."""
    which = broken[0].invariant

    def fails(smaller: Script) -> bool:
        try:
            return any(one.invariant == which for one in breaches(play(smaller, loop)))
        except Exception:  # noqa: BLE001  what cannot be played is no smaller one
            return False

    smallest = shrink(script, fails)
    story = play(smallest, loop)
    return Found(seed, loop, tuple(breaches(story) or broken), smallest, story)


@contextmanager
def _quiet() -> Iterator[None]:
    """Log nothing of the many lives, and leave the log as it was."""
    logger = logging.getLogger("lifecycle")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
        gc.collect()  # what was left unfinished is told now, and not in another test
