"""Mistakes that type checkers are to find: mistakes.txt holds them, each line with its mark."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MISTAKES = (HERE / "mistakes.txt").read_text(encoding="utf-8")
EXPECTED = [place for place, line in enumerate(MISTAKES.splitlines(), 1) if "  # E: " in line]


@pytest.fixture
def mistakes(tmp_path: Path) -> Path:
    """Give a module that holds the mistakes."""
    path = tmp_path / "mistakes.py"
    path.write_text(MISTAKES, encoding="utf-8")
    return path


def test_mypy_finds_all_mistakes(mistakes: Path) -> None:
    """Each marked line is an error of mypy's, and no other line is."""
    pytest.importorskip("mypy")
    settings = [f"--config-file={ROOT / 'pyproject.toml'}", "--no-incremental", "--no-color-output"]
    said = output_of("mypy", *settings, str(mistakes))
    found = {int(line) for line in re.findall(r"mistakes\.py:(\d+): error", said)}
    assert sorted(found) == EXPECTED, said


def test_pyright_finds_all_mistakes(mistakes: Path, tmp_path: Path) -> None:
    """Each marked line is an error of pyright's, and no other line is."""
    pytest.importorskip("pyright")
    settings = {
        "include": ["mistakes.py"],
        "extraPaths": [str(ROOT / "src")],
        "typeCheckingMode": "strict",
        "reportUnusedCallResult": False,
        "reportUnusedCoroutine": False,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    where = ("--project", str(tmp_path), "--pythonpath", sys.executable)
    said = output_of("pyright", "--outputjson", *where)
    report = json.loads(said)["generalDiagnostics"]
    errors = [each for each in report if each["severity"] == "error"]
    found = {each["range"]["start"]["line"] + 1 for each in errors}
    assert sorted(found) == EXPECTED, said


def output_of(module: str, *arguments: str) -> str:
    """Run a type checker, which ends with 1 as it has found something."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout
