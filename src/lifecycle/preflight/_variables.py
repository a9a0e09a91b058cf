"""The check that environment variables are set."""

from __future__ import annotations

import os

import attrs

from lifecycle.errors import DefinitionError, PreflightError
from lifecycle.preflight._checks import is_text, short


@attrs.frozen(eq=False)
class VariablesAreSet:
    """That environment variables are set, and not empty."""

    name: str
    variables: tuple[str, ...]

    def __call__(self) -> None:
        """Look.

        Raises:
            PreflightError: One is not; it names all that are not, and no values.
        """
        missing = [variable for variable in self.variables if not os.environ.get(variable)]
        if missing:
            which = " and ".join(missing) if len(missing) < 3 else ", ".join(missing)  # noqa: PLR2004
            reason = f"{which} {'is' if len(missing) == 1 else 'are'} not set, or empty"
            raise PreflightError(self.name, reason)


def env(*names: str) -> VariablesAreSet:
    """Check that environment variables are set, and not empty.

    Args:
        names: The variables.

    Raises:
        DefinitionError: No names, or something else than names.
    """
    if not names or not all(is_text(name) and name and "=" not in name for name in names):
        problem = f"preflight.env takes the names of environment variables, not {names!r}"
        raise DefinitionError(problem)
    return VariablesAreSet(short(f"env {' '.join(names)}"), names)
