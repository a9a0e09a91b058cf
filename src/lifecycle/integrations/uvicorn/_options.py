"""What can be said to uvicorn in here, and what cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifecycle.asgi import ASGIApp

_OWN_PROCESS = "it needs processes of uvicorn's own, and the server lives inside this one"
_SHUTDOWN = "the component's `drain_timeout` and `stop_timeout` say that"
_REFUSED: Final = {
    "callback_notify": "use a service",
    "factory": "call the factory, and pass the app that it gives",
    "fd": "bind a socket, and pass it in `sockets`",
    "interface": "wrap the app, so that it is an ASGI 3 one",
    "limit_max_requests": "it would end the server behind the system's back",
    "limit_max_requests_jitter": "it would end the server behind the system's back",
    "loop": "the event loop is chosen by `lifecycle.run(…, backend=…)`",
    "reload": _OWN_PROCESS,
    "reload_delay": _OWN_PROCESS,
    "reload_dirs": _OWN_PROCESS,
    "reload_excludes": _OWN_PROCESS,
    "reload_includes": _OWN_PROCESS,
    "timeout_graceful_shutdown": _SHUTDOWN,
    "timeout_worker_healthcheck": _OWN_PROCESS,
    "uds": "only TCP is supported",
    "workers": _OWN_PROCESS,
}


def check(names: Iterable[str]) -> None:
    """Refuse options that cannot work inside a system.

    Raises:
        TypeError: one of them cannot; the message says why, and what to do instead.

    """
    for name in names:
        if name in _REFUSED:
            message = f"uvicorn's {name!r} cannot be used inside a system: {_REFUSED[name]}"
            raise TypeError(message)


def config(app: ASGIApp, host: str, port: int, options: dict[str, Any]) -> uvicorn.Config:
    """Make the configuration of a server that lives in here.

    Raises:
        TypeError: an option is unknown.

    """
    # One worker, whatever WEB_CONCURRENCY says: how many there are is decided outside.
    return uvicorn.Config(
        app, host=host, port=port, lifespan="off", interface="asgi3", workers=1, **options
    )
