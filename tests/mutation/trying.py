"""Runs tests in a process that need not be started: it is forked.

What the tests import was imported before, but for what is tested.
"""

from __future__ import annotations

import os
import resource
import sys

import anyio.pytest_plugin  # noqa: F401  for those that are forked
import hypothesis.stateful
import pytest

_SECONDS = 120
"""How long tests may compute. By the clock it would depend on what else the machine has to do."""


def passes(tests: list[str], *, keep: bool = False) -> bool:
    """Run tests until one fails; says whether none did.

    Args:
        tests: arguments for pytest.
        keep: whether what was compiled is kept; not where that is a mutant.

    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = _run(tests, keep=keep)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return status == 0


def _run(tests: list[str], *, keep: bool) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.dont_write_bytecode = not keep
    hypothesis.settings.register_profile("mutation", derandomize=True, database=None, deadline=None)
    hypothesis.settings.load_profile("mutation")
    imported_before = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    options = ["-x", "-q", "-p", "no:cacheprovider", "--noconftest", *imported_before]
    return int(pytest.main([*options, *tests]))
