"""Breaks each rule on purpose, in a copy of the source, and runs its tests: ``nox -s sabotage``.

A rule of which nobody notices that it is broken has no test that is worth its name. Which
sabotages there are is in `sabotages`; arguments are the ids of rules, none: all.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.rules.finding import ROOT, files_of_rules
from tests.rules.sabotages import SABOTAGES

if TYPE_CHECKING:
    from tests.rules.sabotages import Sabotage

_FAILED = 1  # what pytest exits with when a test has failed, or hung


def main() -> None:
    """Try them, and exit with how many went unnoticed."""
    wanted = set(sys.argv[1:])
    chosen = [one for one in SABOTAGES if not wanted or one.rule in wanted]
    unnoticed = 0
    for number, sabotage in enumerate(chosen, start=1):
        code, told = attempt(sabotage)
        unnoticed += code != _FAILED
        outcome = "noticed" if code == _FAILED else f"NOT NOTICED ({code})"
        print(f"{number}/{len(chosen)} {sabotage}: {outcome}: {told}", flush=True)
    print(f"{unnoticed} of {len(chosen)} were not noticed")
    sys.exit(bool(unnoticed))


def attempt(sabotage: Sabotage) -> tuple[int, str]:
    """Break a rule and run its tests; returns pytest's exit code, and what it told."""
    files = files_of_rules().get(sabotage.rule, [])
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "src", folder, dirs_exist_ok=True)
        path = Path(folder, "lifecycle", sabotage.file)
        text = path.read_text("utf-8")
        assert text.count(sabotage.text) == 1, sabotage
        path.write_text(text.replace(sabotage.text, sabotage.instead), "utf-8")
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        command += ["-p", "tests.rules.only", "--rule", sabotage.rule]
        command += ["-o", "faulthandler_timeout=60", *files]
        env = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        ran = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )
    failed = re.findall(r"^(?:FAILED|ERROR) (tests/.*?)(?: - |$)", ran.stdout, re.MULTILINE)
    hangs = "it hangs" if "Timeout" in ran.stderr else (ran.stdout + ran.stderr)[-300:]
    return ran.returncode, failed[0] if failed else hangs


if __name__ == "__main__":
    main()
