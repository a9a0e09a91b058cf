"""Everything that was found wrong with a declaration, told at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lifecycle.errors import DefinitionError, InvalidComponentError, add_note, one_line

if TYPE_CHECKING:
    from lifecycle._core.declaration import Where


class Problems:
    """Errors, in the order in which they were found."""

    def __init__(self) -> None:
        self._errors: list[DefinitionError] = []
        self._files: dict[str, str] = {}

    def add(self, error: DefinitionError, cause: BaseException | None = None) -> None:
        """Keep an error for the end."""
        error.__cause__ = cause
        self._errors.append(error)

    def invalid(self, component: str, reason: str, cause: BaseException | None = None) -> None:
        """Keep an `InvalidComponentError` for the end."""
        self.add(InvalidComponentError(component, reason), cause)

    def raise_first(self) -> None:
        """Raise the first error, if there was any, with the others as notes.

        Raises:
            DefinitionError: something was wrong.
        """
        if not self._errors:
            return
        first, *others = self._errors
        for other in others:
            add_note(first, f"also: {one_line(other)}")
        raise first

    def place(self, where: Where) -> str:
        """Write a place as ``file:line``, below the working directory from there."""
        if where.file not in self._files:
            self._files[where.file] = _short(where.file)
        return f"{self._files[where.file]}:{where.line}"


def _short(file: str) -> str:
    try:
        relative = os.path.relpath(file)
    except (OSError, ValueError):  # no working directory; another drive
        return file
    return file if relative.startswith(os.pardir) or file.startswith("<") else relative
