"""Where Temporal's SDK runs."""

from __future__ import annotations

import asyncio


def require_asyncio() -> None:
    """Say so clearly where it cannot.

    Raises:
        RuntimeError: there is no asyncio here.

    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        message = (
            "temporalio runs on asyncio and uvloop, and not on trio: `lifecycle.run(…, backend=…)`"
        )
        raise RuntimeError(message) from None
