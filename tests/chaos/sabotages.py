"""How the engine is broken on purpose, by one line: some of the runs have to notice.

The first are faults that the runs had found.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.rules.finding import ROOT
from tests.rules.sabotages import Sabotage

SABOTAGES: Final = [
    Sabotage(
        "K1",
        "a drain that is cut before its task has run takes the whole life with it",
        "_engine/host.py",
        "            self._hook_scope = self.engine.loop.new_scope()\n        self._orders",
        "            pass\n        self._orders",
    ),
    Sabotage(
        "D9",
        "a shutdown waits for companions that are still being entered",
        "_engine/companions.py",
        "            one.enter_by(end)",
        "            pass",
    ),
    Sabotage(
        "S5",
        "what a companion raises while it unwinds is lost",
        "_engine/companions.py",
        "            self._has_unwound(error)",
        "            pass",
    ),
    Sabotage(
        "S1",
        "a check that raises a BaseException ends the engine",
        "_engine/preflight.py",
        "    except BaseException as error:",
        "    except Exception as error:",
    ),
    Sabotage(
        "R5",
        "a SystemExit out of a task group is a crash",
        "_engine/cancellation.py",
        "    only = None if error is None else leaf(error)",
        "    only = error",
    ),
    Sabotage(
        "S3",
        "what was given up is called all the same",
        "_engine/host.py",
        "                if self._scope.cancel_called:  # given",
        "                if False:  # given",
    ),
    Sabotage(
        "D6",
        "an optional component has one error",
        "_engine/account.py",
        "            self.note(error)\n        else:",
        "            pass\n        else:",
    ),
    Sabotage(
        "K2",
        "the end is not waited for where it was cancelled from outside",
        "_engine/running.py",
        "with engine.loop.new_scope(shield=True):\n            while not engine.ended",
        "with engine.loop.new_scope():\n            while not engine.ended",
    ),
    Sabotage(
        "S4",
        "what is ready too late is not unwound",
        "_engine/host.py",
        "            await self._life.discard(cancellation)",
        "            pass",
    ),
    Sabotage(
        "S4",
        "what has crashed is not stopped",
        "_engine/host.py",
        "        return self.ended\n\n    # --- the life",
        "        return self.ended or self.crash is not None\n\n    # --- the life",
    ),
    Sabotage(
        "D4",
        "what was not asked to drain is stopped without",
        "_core/stopping.py",
        "drain = self.may_drain and not crashed",
        "drain = False and not crashed",
    ),
    Sabotage(
        "D4",
        "nobody waits for work in flight",
        "_core/draining.py",
        "if self.awaits_body or self._in_flight.work:",
        "if self.awaits_body:",
    ),
    Sabotage(
        "D3",
        "everything drains at once",
        "_core/draining.py",
        "self._undrained_of = self._ledger.count_dependents()",
        "self._undrained_of = [0] * len(self._come)",
    ),
    Sabotage(
        "D5",
        "everything stops at once",
        "_core/stopping.py",
        "self._unended_of = self._ledger.count_dependents()",
        "self._unended_of = [0] * len(self._unended_of)",
    ),
    Sabotage(
        "S3",
        "a start that unwinds holds nothing back",
        "_core/ledger.py",
        "if self.alive[component] or self.unwinding[component]:",
        "if self.alive[component]:",
    ),
    Sabotage(
        "G3",
        "what requires a failed component starts all the same",
        "_core/starting.py",
        "if self._ledger.states[which] is not State.READY:",
        "if False:",
    ),
    Sabotage(
        "S2",
        "nothing starts while anything else does",
        "_core/starting.py",
        "if self._unsettled_of[dependent] or not self._is_pending(dependent):",
        "if State.STARTING in self._ledger.states or not self._is_pending(dependent):",
    ),
    Sabotage(
        "S5",
        "the last cause comes first",
        "_engine/account.py",
        "        self.errors.append(error)\n        self.of_component",
        "        self.errors.insert(0, error)\n        self.of_component",
    ),
    Sabotage(
        "D6",
        "the error of a stop is not told",
        "_engine/stops.py",
        '            self._engine.account.hook_failed(host.node, "stop", error)',
        "            pass",
    ),
    Sabotage(
        "D1",
        "the last request decides",
        "_engine/shutdown.py",
        "        if self.reason is None:\n            self.asked_at",
        "        if True:\n            self.asked_at",
    ),
    Sabotage(
        "D7",
        "the close keeps no reserve",
        "_core/budget.py",
        "drains_end=end - close_reserve)",
        "drains_end=end)",
    ),
    Sabotage(
        "D7",
        "a hook leaves nothing to those that follow",
        "_core/budget.py",
        "max(left - followers * share, min(LEAST, left))",
        "left",
    ),
    Sabotage(
        "D7",
        "a stop has no limit of its own",
        "_engine/stops.py",
        'host.begin("stop", now, own, limit)',
        'host.begin("stop", now, math.inf, limit)',
    ),
    Sabotage(
        "D8",
        "nothing is ever abandoned",
        "_engine/timing.py",
        "self.engine.keeper.at(min(self._patience_ends, last), self._abandon)",
        "self.engine.keeper.at(min(self._patience_ends, last), lambda: None)",
    ),
    Sabotage(
        "R5",
        "the code of a SystemExit is lost",
        "_engine/shutdown.py",
        "self.request(reason, delay=delay, exit_code=code_of(error))",
        "self.request(reason, delay=delay)",
    ),
    Sabotage(
        "R1",
        "a crash ends nothing",
        "_core/machine.py",
        "self._wind_down(Cause.DRAIN, component)",
        "pass",
    ),
    Sabotage(
        "D10",
        "a cancellation does not go on",
        "_engine/running.py",
        "        if error is None and cancellation is not None:\n            raise cancellation",
        "",
    ),
    Sabotage(
        "B3",
        "who waits at a gate is not told that it will never open",
        "_engine/starts.py",
        "        self._engine.gates.open_or_give_up(command.component)\n\n    def cancel",
        "\n    def cancel",
    ),
    Sabotage(
        "K4",
        "sync code runs on the loop",
        "_engine/calling.py",
        "if in_thread is None or calls.belongs_on_loop(function):",
        "if True:",
    ),
]

_RUNS: Final = "3000"
_FOUND: Final = 1
_PATIENCE: Final = 100.0
"""What does not end at all is noticed, too, after so many real seconds."""


def main() -> bool:
    """Try them; returns whether any went unnoticed."""
    unnoticed = 0
    for number, sabotage in enumerate(SABOTAGES, start=1):
        how = attempt(sabotage)
        unnoticed += how is None
        print(f"{number}/{len(SABOTAGES)} {sabotage}: {how or 'NOT NOTICED'}", flush=True)  # noqa: T201  for people
    print(f"{unnoticed} of {len(SABOTAGES)} were not noticed")  # noqa: T201  likewise
    return bool(unnoticed)


def attempt(sabotage: Sabotage) -> str | None:
    """Break the engine, in a copy of the source; says what the runs noticed."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "src", folder, dirs_exist_ok=True)
        path = Path(folder, "lifecycle", sabotage.file)
        text = path.read_text("utf-8")
        assert text.count(sabotage.text) == 1, sabotage
        path.write_text(text.replace(sabotage.text, sabotage.instead), "utf-8")
        command = [sys.executable, "-m", "tests.chaos", _RUNS, "--loop", "asyncio", "--as-it-is"]
        env = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            ran = subprocess.run(
                [*command, "--seed", "sabotage"],
                cwd=ROOT,
                env=env,
                capture_output=True,
                text=True,
                check=False,
                timeout=_PATIENCE,
            )
        except subprocess.TimeoutExpired:
            return "it hangs"
    if ran.returncode != _FOUND:
        return None
    runs = re.search(r"(\d+) runs", ran.stdout)
    told = re.search(r"^  ([A-Z]\d+: .*)$", ran.stdout, re.MULTILINE)
    what = told[1] if told else (ran.stderr.strip().splitlines() or ["it fails"])[-1]
    return f"after {runs[1] if runs else 0} runs, {what[:100]}"
