"""Changes one thing in `_core` after the other, and sees whether a test fails: ``nox -s mutation``.

It works on a copy in ``build/mutation``, and goes on where it was interrupted; ``--fresh`` begins
anew, as it has to once `_core` or its tests have changed. What survives has to be in
``survivors.md``, with the reason; what does not survive any more has to leave it.
"""

from __future__ import annotations

import difflib
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cosmic_ray import commands, modules
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

from tests.mutation.operators import install
from tests.mutation.survivors import Survivor, explained
from tests.mutation.trying import passes

if TYPE_CHECKING:
    from cosmic_ray.work_db import WorkDB
    from cosmic_ray.work_item import MutationSpec, WorkItem

ROOT = Path(__file__).parents[2]
COPY = ROOT / "build" / "mutation"
CORE = Path("src", "lifecycle", "_core")

_MACHINE: Final = {
    f"{name}.py"
    for name in (
        *("machine", "transitions", "commands", "edges", "ledger", "in_flight"),
        *("starting", "draining", "stopping"),
    )
}
_STORIES, _EXPLORED = "tests/core/test_machine.py", "tests/core/test_machine_explored.py"
_OF_MACHINE: Final = (
    ["-k", "not long_chain", _STORIES, f"{_EXPLORED}::test_up_to_two_components"],
    [_STORIES, _EXPLORED, "tests/core/test_machine_stateful.py"],
)
_WITHOUT: Final = "--ignore-glob=*/test_machine*"
_OF_THE_REST: Final = (
    ["-k", "not thousand and not hash_seed", "tests/core", _WITHOUT],
    ["tests/declaring", "tests/settings", "tests/messages", "tests/core", _WITHOUT],
)
"""Tests of a mutant, and those of one that survives the first, and that nobody has explained."""
_THOROUGH: Final = "thoroughly"


def main() -> None:
    """Go through all mutants, and exit with 1 where one survived that nobody has explained."""
    prepare(fresh="--fresh" in sys.argv)
    install()
    with use_db("mutants.sqlite") as database:
        if not database.num_work_items:
            commands.init(modules.find_modules([CORE]), database, {})
        for tests in (*_OF_MACHINE, *_OF_THE_REST):
            assert passes(tests, keep=True), f"it fails without a mutant: {tests}"
        try_all(database)
        told = explained()
        try_survivors(database, told)
        done = list(database.completed_work_items)
    skipped = sum(result.worker_outcome is WorkerOutcome.SKIPPED for _, result in done)
    found = [found for item, result in done if (found := survivor(item, result))]
    unexplained = [one for one in found if one not in told]
    print(f"{len(done) - skipped} mutants, {len(found)} survived")
    for one in unexplained:
        print(f"\nnot explained: {one}")
    for one in told:
        if one not in found:
            print(f"\nexplained, and killed or gone: {one}")
    sys.exit(bool(unexplained))


def prepare(*, fresh: bool) -> None:
    """Work in a copy, and import from there."""
    if fresh or not COPY.exists():
        shutil.rmtree(COPY, ignore_errors=True)
        for folder in ("src", "tests"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / folder, COPY / folder, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", COPY)
    shutil.copytree(ROOT / CORE, COPY / CORE, dirs_exist_ok=True)  # a mutant may have been left
    os.chdir(COPY)
    sys.path.insert(0, str(COPY / "src"))
    os.environ["PYTHONPATH"] = str(COPY / "src")


def try_all(database: WorkDB) -> None:
    """Try what was not tried yet, with the tests that take least."""
    waiting = list(database.pending_work_items)
    for number, item in enumerate(waiting, start=1):
        result = attempt(item.mutations[0])
        database.set_result(item.job_id, result)
        if number % 50 == 0 or result.test_outcome is TestOutcome.SURVIVED:
            print(f"{number} of {len(waiting)} {survivor(item, result) or ''}", flush=True)


def try_survivors(database: WorkDB, told: list[Survivor]) -> None:
    """Try what has survived again, with all tests, but for what is explained."""
    for item, result in list(database.completed_work_items):
        one = survivor(item, result)
        if one and one not in told and result.output != _THOROUGH:
            again = attempt(item.mutations[0], thoroughly=True)
            database.set_result(item.job_id, again)
            print(f"{again.test_outcome}: {one}", flush=True)


def attempt(mutation: MutationSpec, *, thoroughly: bool = False) -> WorkResult:
    """Try one mutant."""
    if is_of_signature(mutation):
        return WorkResult(WorkerOutcome.SKIPPED)
    operator = get_operator(mutation.operator_name)()
    with use_mutation(mutation.module_path, operator, mutation.occurrence) as (before, after):
        tests = _OF_MACHINE if mutation.module_path.name in _MACHINE else _OF_THE_REST
        outcome = TestOutcome.SURVIVED if passes(tests[thoroughly]) else TestOutcome.KILLED
    lines = difflib.unified_diff(before.splitlines(), (after or "").splitlines(), n=0, lineterm="")
    return WorkResult(
        WorkerOutcome.NORMAL,
        output=_THOROUGH if thoroughly else None,
        test_outcome=outcome,
        diff="\n".join(lines),
    )


def is_of_signature(mutation: MutationSpec) -> bool:
    """Whether it only changes how a function is called, or what type checkers see."""
    lines = mutation.module_path.read_text("utf-8").splitlines()
    line, column = lines[mutation.start_pos[0] - 1], mutation.start_pos[1]
    return bool(line == "if TYPE_CHECKING:" or line[column:].startswith("*,"))


def survivor(item: WorkItem, result: WorkResult) -> Survivor | None:
    """What a mutant that survived has changed; None: it did not."""
    if result.test_outcome is not TestOutcome.SURVIVED:
        return None
    return Survivor.of(item.mutations[0].module_path.name, result.diff)


if __name__ == "__main__":
    main()
