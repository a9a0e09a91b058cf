"""The checks that files and directories can be read, or written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from lifecycle.errors import DefinitionError, PreflightError
from lifecycle.preflight._checks import is_path, short

if TYPE_CHECKING:
    from collections.abc import Callable

# A FIFO without a partner is no reason to wait. (Windows has neither.)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)


@attrs.frozen(eq=False)
class PathsAre:
    """That files and directories can be used in one way."""

    name: str
    paths: tuple[Path, ...]
    attempt: Callable[[Path], None]
    """Uses a path in that way; raises OSError where that cannot be done."""
    wanted: str

    def __call__(self) -> None:
        """Try each of them.

        Raises:
            PreflightError: One cannot be used so; it names all that cannot, and why.
        """
        failures: list[str] = []
        for path in self.paths:
            try:
                self.attempt(path)
            except OSError as error:  # noqa: PERF203  all of them are to be named
                failures.append(f"{path} is not {self.wanted}: {error.strerror or error}")
        if failures:
            raise PreflightError(self.name, "; ".join(failures))


def readable(*paths: str | os.PathLike[str]) -> PathsAre:
    """Check that files can be opened, and directories listed.

    By doing it, so that a mount that is gone is found too.

    Raises:
        DefinitionError: No paths, or something else than paths.
    """
    return PathsAre(_name("readable", paths), _paths("readable", paths), _read, "readable")


def writable(*paths: str | os.PathLike[str]) -> PathsAre:
    """Check that files can be opened for writing, and that files can be made in directories.

    By doing it, with nothing left behind, so that a read-only mount and a full disk are found too.
    What does not exist is not writable: a missing mount would be missed otherwise.

    Raises:
        DefinitionError: No paths, or something else than paths.
    """
    return PathsAre(_name("writable", paths), _paths("writable", paths), _write, "writable")


def _name(check: str, paths: tuple[str | os.PathLike[str], ...]) -> str:
    return short(f"{check} {' '.join(map(str, paths))}")


def _paths(check: str, paths: tuple[str | os.PathLike[str], ...]) -> tuple[Path, ...]:
    if not paths or not all(is_path(path) for path in paths):
        problem = f"preflight.{check} takes paths, not {paths!r}"
        raise DefinitionError(problem)
    return tuple(map(Path, paths))


def _read(path: Path) -> None:
    if path.is_dir():
        with os.scandir(path) as entries:
            for entry in entries:
                entry.stat(follow_symlinks=False)  # needs the right to enter, not only to list
                break
    else:
        os.close(os.open(path, os.O_RDONLY | _NONBLOCK))


def _write(path: Path) -> None:
    if path.is_dir():
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(b"lifecycle")
    else:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | _NONBLOCK))
