"""What serves a connection: hypercorn's own code, as far as it is used in here.

Its public function ``serve`` is not: on Python 3.12 and later it waits for connections before it
counts its own time to wait, it runs the app's lifespan, and whoever cancels it leaves tasks behind.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
from typing import TYPE_CHECKING, Any

from hypercorn.app_wrappers import ASGIWrapper

from lifecycle.integrations._contained import contained

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from lifecycle.asgi import ASGIApp, Receive, Scope, Send

_logger = logging.getLogger("lifecycle.integrations.hypercorn")


def wrapped(app: ASGIApp) -> Any:
    """Give an app as hypercorn calls it.

    What is no error, as a SystemExit is none, and comes out of the app is made one: hypercorn logs
    that, and answers it by a 500, as other servers do with all that an app raises. In the task that
    it has for the call, a SystemExit would end the event loop.
    """

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        with contained("the app"):
            await app(scope, receive, send)

    framework: Any = call  # hypercorn has types of its own for each message
    return ASGIWrapper(framework)


def state() -> Any:
    """Give what requests find in their state; what the lifespan has left is put there elsewhere."""
    return {}


def require_parameters(tcp_server: Callable[..., Any], *names: str) -> None:
    """See that hypercorn's server of one connection is the one that is known in here.

    Raises:
        RuntimeError: it is not; requests would fail, one by one.

    """
    signature = inspect.signature(tcp_server)
    if names != tuple(signature.parameters):
        message = (
            f"this version of hypercorn is not known: its TCPServer takes {signature}; "
            "install another version of hypercorn, or of lifecycle"
        )
        raise RuntimeError(message)


@contextlib.contextmanager
def apart(drop: Callable[[], object]) -> Generator[None]:
    """Keep an error of hypercorn's in one connection away from the others.

    Args:
        drop: drops the connection.

    """
    try:
        yield
    except Exception:
        _logger.exception("hypercorn failed to serve a connection")
        drop()
