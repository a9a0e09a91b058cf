"""The CPU time of `import lifecycle` in a new process, against that of what it is made of.

The reference imports anyio, attrs and typing-extensions, and whatever else ends up imported that is
not its own, by name. Who only declares loads neither the engine, which comes with `running`, nor
what only a whole program needs, which comes with `run`: these are timed apart.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.measuring import Heading, Line, column, in_turns, microseconds, ratios, row

if TYPE_CHECKING:
    from collections.abc import Iterator

WHAT = {
    "import lifecycle": ("lifecycle",),
    "and lifecycle.running": ("lifecycle", "lifecycle.embedded"),
    "and lifecycle.run": ("lifecycle", "lifecycle.program"),
}
REQUIRED = ("anyio", "attrs", "typing_extensions")

_TIMED = """
import sys, time
names = sys.argv[1:]
began = time.process_time()
for name in names:
    __import__(name)
print(time.process_time() - began)
"""
_USED = """
import sys
before = set(sys.modules)
for name in sys.argv[1:]:
    __import__(name)
for name in sys.modules:
    if name not in before and name.partition(".")[0] not in ("lifecycle", "__mp_main__"):
        print(name)
"""


def measure(*, quick: bool) -> Iterator[Line]:
    """Import each in processes of their own."""
    with tempfile.TemporaryDirectory() as bytecode:
        for what, names in WHAT.items():
            used = (*REQUIRED, *_python(bytecode, _USED, *names).split())
            samples = [partial(_import, bytecode, each) for each in (names, used, REQUIRED)]
            in_turns(1, *samples)  # from now on all bytecode is there
            taken = in_turns(2 if quick else 20, *samples)
            mine, theirs, least = (microseconds(min(column(taken, which))) for which in range(3))
            yield Heading(what)
            yield row(
                "against all that it uses", ratios(taken), aim=1.5, note=f"{mine} to {theirs}"
            )
            yield row("against anyio and attrs", ratios(taken, 0, 2), note=f"{mine} to {least}")


def _import(bytecode: str, names: tuple[str, ...]) -> float:
    return float(_python(bytecode, _TIMED, *names))


def _python(bytecode: str, program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    # Whatever is set here: as in production, nothing is compiled that was compiled before.
    env = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout  # noqa: S603  ours
