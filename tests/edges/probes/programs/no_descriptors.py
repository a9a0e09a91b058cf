"""A service that uses up all of its file descriptors."""

from __future__ import annotations

import os
import resource
import sys
from typing import TYPE_CHECKING, Any

import lifecycle
from lifecycle import Registry, Settings
from lifecycle.probes import ProbeServer
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
shop = Registry("shop")
probes = ProbeServer("127.0.0.1:0")


@shop.component
async def leak() -> AsyncIterator[None]:
    """Opens files until it may not, and forgets them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    opened = []
    try:
        while True:
            opened.append(os.dup(2))
    except OSError as error:
        say(f"no descriptor is left: {error.strerror}")
    say(f"port {probes.port}")
    yield
    for descriptor in opened:
        os.close(descriptor)


lifecycle.run(shop, Settings(drain_delay=50, grace_period=60), backend=BACKEND, companions=[probes])
