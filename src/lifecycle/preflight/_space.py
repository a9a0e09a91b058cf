"""The check that a disk has room."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from lifecycle.errors import DefinitionError, PreflightError
from lifecycle.preflight._checks import is_count, is_path, short

if TYPE_CHECKING:
    import os

_UNITS = {
    "B": 1,
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("kMGT", 1)},
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", 1)},
}
_AMOUNT = re.compile(r"(?P<number>\d+(\.\d+)?) ?(?P<unit>[kKMGT]?i?B)")


@attrs.frozen(eq=False)
class SpaceIsFree:
    """That the file system of a path has room."""

    name: str
    path: Path
    at_least: int
    """In bytes."""

    def __call__(self) -> None:
        """Look.

        Raises:
            PreflightError: There is less, or it cannot be seen.
        """
        try:
            free = shutil.disk_usage(self.path).free
        except OSError as error:
            reason = f"{self.path}: {error.strerror or error}"
            raise PreflightError(self.name, reason) from error
        if free < self.at_least:
            reason = f"{self.path} has {_in_words(free)} left, and needs {_in_words(self.at_least)}"
            raise PreflightError(self.name, reason)


def free_space(path: str | os.PathLike[str], at_least: int | str) -> SpaceIsFree:
    """Check that the file system of a path has room, for users other than root.

    Args:
        path: Anything on that file system.
        at_least: In bytes, or as text: ``"500 MB"`` (of 1000 kB), ``"2 GiB"`` (of 1024 MiB).

    Raises:
        DefinitionError: It is no path, or no such amount.
    """
    if not is_path(path):
        problem = f"preflight.free_space takes a path, not {path!r}"
        raise DefinitionError(problem)
    amount = _bytes(at_least)
    return SpaceIsFree(short(f"free_space {path} {_in_words(amount)}"), Path(path), amount)


def _bytes(amount: int | str) -> int:
    number = amount
    if isinstance(number, str):
        match = _AMOUNT.fullmatch(number)
        unit = _UNITS.get(match["unit"], 0) if match else 0
        number = int(float(match["number"]) * unit) if match else 0
    if not is_count(number) or number < 1:
        problem = (
            f"preflight.free_space: {amount!r} is no amount; it must be a number of bytes, or a "
            'text such as "500 MB" or "2 GiB"'
        )
        raise DefinitionError(problem)
    return number


def _in_words(amount: int) -> str:
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if amount >= _UNITS[unit]:
            return f"{amount / _UNITS[unit]:.1f} {unit}"
    return f"{amount} B"
