"""The fixture `virtual_time`, in a run of pytest of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAMS = Path(__file__).parent / "programs"
INI = """
[pytest]
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[str]]:
    """Run all the programs, once; gives what became of their tests, by file."""
    folder = tmp_path_factory.mktemp("programs")
    for program in PROGRAMS.glob("*_tests.py"):
        folder.joinpath(program.name).write_bytes(program.read_bytes())
    folder.joinpath("pytest.ini").write_text(INI, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "-q"]
    ran = subprocess.run(
        [*command, *(program.name for program in PROGRAMS.glob("*_tests.py"))],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = re.findall(r"^([A-Z]{5,6}) (\w+)_tests.py::(\S+)", ran.stdout, re.MULTILINE)
    assert lines, ran.stdout + ran.stderr
    found: dict[str, list[str]] = {}
    for outcome, program_name, test in sorted(lines, key=lambda line: line[-1]):
        found.setdefault(program_name, []).append(f"{test} {outcome.lower()}")
    return found


def passed(*names: str) -> list[str]:
    """What becomes of tests that pass, on both backends."""
    return [f"{name}[{backend}] passed" for name in names for backend in ("asyncio", "trio")]


def test_with_anyios_plugin(outcomes: Mapping[str, list[str]]) -> None:
    """On each backend that it runs tests on; fixtures and the test share one time."""
    assert (
        passed(
            "TestMethods::test_method",
            "test_a_fixture_is_enough",
            "test_it_goes_on_from_a_fixture",
            "test_threads_hold_it",
            "test_time_is_virtual",
        )
        == outcomes["anyio"]
    )


def test_beside_tests_in_real_time(outcomes: Mapping[str, list[str]]) -> None:
    """What belongs to a module is set up for each kind of time; real time stays real."""
    assert passed("test_real", "test_real_again", "test_virtual") == outcomes["both_times"]


def test_with_backends_of_ones_own(outcomes: Mapping[str, list[str]]) -> None:
    """Whatever gives `anyio_backend`: the backends stay the same, and become virtual."""
    assert [
        "TestFunction::test_function passed",
        *passed("TestOptions::test_options"),
        "TestParams::test_params[debug] passed",
        "TestParams::test_params[trio] passed",
        "test_seeds[0] passed",
        "test_seeds[1] passed",
    ] == outcomes["backends"]
    assert ["test_session passed"] == outcomes["session"]


def test_with_backends_that_are_computed(outcomes: Mapping[str, list[str]]) -> None:
    """What computes them sees the parameter that it was given, whatever that is."""
    assert passed("test_real", "test_virtual", "test_virtual_again") == outcomes["computed"]


def test_with_backends_that_are_virtual_from_the_start(
    outcomes: Mapping[str, list[str]],
) -> None:
    """They stay what they are, and those who have one in common have its time in common."""
    assert passed("test_beside", "test_virtual") == outcomes["from_the_start"]
    assert passed("test_beside", "test_virtual") == outcomes["in_common"]


def test_uvloop_is_an_error(outcomes: Mapping[str, list[str]]) -> None:
    """Before the test runs."""
    assert ["test_uvloop error"] == outcomes["uvloop"]


def test_where_it_is_too_late(outcomes: Mapping[str, list[str]]) -> None:
    """An async fixture of a wider scope has made a loop of real time: the error says so."""
    assert ["test_late xfail", "test_real passed"] == outcomes["too_late"]


def test_what_stalls_fails(outcomes: Mapping[str, list[str]]) -> None:
    """With the error that says who waits; the tests after it run."""
    stalled = [f"test_it_stalls[{backend}] xfail" for backend in ("asyncio", "trio")]
    assert [*stalled, *passed("test_the_next_one")] == outcomes["stalls"]


def test_with_pytest_asyncio(outcomes: Mapping[str, list[str]]) -> None:
    """Its fixtures and tests, in its default scopes and in wider ones."""
    assert [
        "TestInOneLoop::test_first passed",
        "TestInOneLoop::test_second passed",
        "test_it_goes_on_from_a_fixture passed",
        "test_it_stalls xfail",
        "test_real passed",
        "test_time_is_virtual passed",
    ] == outcomes["pytest_asyncio"]


def test_in_a_test_that_is_not_async(outcomes: Mapping[str, list[str]]) -> None:
    """There is no loop, and no time; `run` has one, as always."""
    assert ["test_sync passed"] == outcomes["sync"]


def test_who_does_not_use_it_does_not_pay_for_it() -> None:
    """The plugin imports nothing of the package before a test takes the fixture."""
    program = (
        "import sys, _lifecycle_pytest\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'lifecycle']\n"
        "from importlib.metadata import entry_points\n"
        "print(*[one.value for one in entry_points(group='pytest11', name='lifecycle')])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "_lifecycle_pytest\n" == ran.stdout
