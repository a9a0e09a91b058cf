"""Fixtures that hold a system across tests, in runs of pytest of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"
INI = """
[pytest]
filterwarnings = error
"""
ON_TWO = [
    "test_first[asyncio] passed",
    "test_second[asyncio] passed",
    "test_first[trio] passed",
    "test_second[trio] passed",
]


def outcomes_of(name: str, folder: Path, *options: str) -> list[str]:
    """Run the tests of a program; gives what became of them, in order."""
    program = folder / f"test_{name}.py"
    program.write_bytes((PROGRAMS / f"{name}_tests.py").read_bytes())
    folder.joinpath("pytest.ini").write_text(INI, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", *options]
    ran = subprocess.run(
        [*command, program.name],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = re.findall(r"::(\S+) ([A-Z]+)", ran.stdout)
    assert found, ran.stdout + ran.stderr
    return [f"{test} {outcome.lower()}" for test, outcome in found]


def test_on_anyios_plugin(tmp_path: Path) -> None:
    """`running`: the plugin runs fixtures and tests in one task."""
    assert ON_TWO == outcomes_of("anyio", tmp_path, "-p", "no:asyncio")


def test_on_pytest_asyncio(tmp_path: Path) -> None:
    """`apart`: the two halves of a fixture are run by different tasks."""
    expected = ["test_first passed", "test_second passed"]
    options = ("-p", "no:anyio", "-o", "asyncio_default_fixture_loop_scope=function")
    assert expected == outcomes_of("asyncio", tmp_path, *options)


def test_without_any_plugin(tmp_path: Path) -> None:
    """By anyio's portal, with a loop in a thread."""
    options = ("-p", "no:asyncio", "-p", "no:anyio")
    assert ON_TWO == outcomes_of("sync", tmp_path, *options)
