"""What can be said to uvicorn in here, and what cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import uvicorn

from lifecycle.integrations import _refused

if TYPE_CHECKING:
    from lifecycle.asgi import ASGIApp

REFUSED: Final = {
    "callback_notify": "use a service",
    "factory": _refused.FACTORY,
    "fd": _refused.SOCKETS,
    "interface": _refused.INTERFACE,
    "limit_max_requests": _refused.BEHIND,
    "limit_max_requests_jitter": _refused.BEHIND,
    "loop": _refused.BACKEND,
    "reload": _refused.OWN_PROCESS,
    "reload_delay": _refused.OWN_PROCESS,
    "reload_dirs": _refused.OWN_PROCESS,
    "reload_excludes": _refused.OWN_PROCESS,
    "reload_includes": _refused.OWN_PROCESS,
    "timeout_graceful_shutdown": _refused.SHUTDOWN,
    "timeout_worker_healthcheck": _refused.OWN_PROCESS,
    "uds": _refused.TCP,
    "workers": _refused.OWN_PROCESS,
}


def config(app: ASGIApp, host: str, port: int, options: dict[str, Any]) -> uvicorn.Config:
    """Make the configuration of a server that lives in here.

    Raises:
        TypeError: an option is unknown.

    """
    # One worker, whatever WEB_CONCURRENCY says: how many there are is decided outside.
    return uvicorn.Config(
        app, host=host, port=port, lifespan="off", interface="asgi3", workers=1, **options
    )
