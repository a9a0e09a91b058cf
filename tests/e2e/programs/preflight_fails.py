"""A preflight command that fails, and leaves something running behind."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import lifecycle
from lifecycle import Registry, preflight
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
FIFO = sys.argv[2]
shop = Registry("shop")

SCRIPT = f"""
exec 9>'{FIFO}'
echo 'the script was here' >&9
sleep 1000 &
echo 'database migrations are missing' >&2
exit 7
"""
shop.preflight(preflight.command(["sh", "-c", SCRIPT], name="migrations"))


@shop.component
async def database() -> AsyncIterator[str]:
    """Is never started."""
    say("database opened")
    yield "database"
    say("database closed")


lifecycle.run(shop, backend=BACKEND)
say("run returned")
