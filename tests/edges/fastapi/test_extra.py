"""What is needed to import it."""

from __future__ import annotations

import subprocess
import sys


def import_without(missing: str) -> str:
    """Import it where something is not installed; give the last line of what is said."""
    program = f"import sys; sys.modules[{missing!r}] = None; import lifecycle.integrations.fastapi"
    ran = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    return ran.stderr.splitlines()[-1]


def test_without_fastapi_it_says_what_to_install() -> None:
    """Whoever imports the module needs the extra."""
    assert import_without("fastapi") == (
        "ImportError: FastAPI is not installed: pip install 'anyio-lifecycle[fastapi]'"
    )


def test_what_else_is_missing_is_not_blamed_on_that() -> None:
    """FastAPI may be there, and something that it needs may not."""
    assert import_without("pydantic").startswith("ModuleNotFoundError: import of pydantic")
