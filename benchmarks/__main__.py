"""Measures what lifecycle costs: ``nox -s bench``, or ``nox -s bench -- hold asgi`` for some.

Each result is a ratio, of ours to a peer or a reference in the same run, in turns. ``--quick`` only
sees that the benchmarks work: what it prints is noise.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
from typing import TYPE_CHECKING, Any, Final

from benchmarks import table
from benchmarks.measuring import Row

if TYPE_CHECKING:
    from collections.abc import Iterable

ALL: Final = (
    "start_stop",
    "growth",
    "makespan",
    "hold",
    "asgi",
    "imports",
    "signals",
    "probe_storm",
)


def main() -> None:
    """Run those that are named, or all."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure what lifecycle costs, as ratios to peers and references.",
        epilog=f"benchmarks: {', '.join(ALL)}",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which benchmarks; default: all")
    parser.add_argument("--quick", action="store_true", help="only see that they work")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in ALL]
    if unknown:
        parser.error(f"no benchmark is called {unknown[0]!r}; there are {', '.join(ALL)}")

    print(machine())
    rows: list[Row] = []
    for name in options.names or ALL:
        rows += run(name, quick=options.quick)
    print("\nQuick: these ratios say nothing." if options.quick else table.verdict(rows))


def run(name: str, *, quick: bool) -> list[Row]:
    """Run one, and print its lines as they come."""
    module: Any = importlib.import_module(f"benchmarks.{name}")
    print(table.head(name, (module.__doc__ or "").partition("\n\n")[0]), flush=True)
    lines: Iterable[Any] = module.measure(quick=quick)
    rows: list[Row] = []
    for line in lines:
        print(table.line(line), flush=True)
        if isinstance(line, Row):
            rows.append(line)
    return rows


def machine() -> str:
    """What it runs on."""
    versions = [f"Python {platform.python_version()}"]
    for name in ("anyio", "attrs", "trio", "asphalt", "aiomisc", "uvicorn"):
        installed = importlib.util.find_spec(name) is not None
        versions.append(f"{name} {importlib.metadata.version(name)}" if installed else f"no {name}")
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    where = f"{sys.platform} {platform.machine()}, {os.cpu_count()} CPUs, load {load}"
    return f"{', '.join(versions)}\n{where}"


if __name__ == "__main__":
    main()
