"""What can be said to hypercorn in here, and what cannot."""

from __future__ import annotations

import logging
from typing import Any, Final

from hypercorn.config import Config

from lifecycle.integrations import _refused

_LOGGING: Final = "pass loggers as `errorlog` and `accesslog`"
_STATSD: Final = "pass a `logger_class` that sends what it is told"
_USER: Final = "bind a socket before privileges are dropped, and pass it in `sockets`"

REFUSED: Final = {
    "application_path": "pass the app itself",
    "bind": "say `host` and `port`; or " + _refused.SOCKETS,
    "daemon": _refused.OWN_PROCESS,
    "debug": _refused.BACKEND,
    "dogstatsd_tags": _STATSD,
    "graceful_timeout": _refused.SHUTDOWN,
    "group": _USER,
    "insecure_bind": "use a second server",
    "log": _LOGGING,
    "logconfig": _LOGGING,
    "logconfig_dict": _LOGGING,
    "max_requests": _refused.BEHIND,
    "max_requests_jitter": _refused.BEHIND,
    "pid_path": _refused.OWN_PROCESS,
    "quic_bind": _refused.TCP,
    "shutdown_timeout": _refused.SHUTDOWN,
    "startup_timeout": _refused.START,
    "statsd_host": _STATSD,
    "statsd_prefix": _STATSD,
    "umask": _refused.TCP,
    "use_reloader": _refused.OWN_PROCESS,
    "user": _USER,
    "worker_class": _refused.BACKEND,
    "workers": _refused.OWN_PROCESS,
    "wsgi_max_body_size": _refused.INTERFACE,
}

_KNOWN: Final = {
    name
    for name in dir(Config)
    if not name.startswith("_") and (name == "logger_class" or not callable(getattr(Config, name)))
}


def config(options: dict[str, Any]) -> Config:
    """Make the configuration of a server that lives in here.

    Raises:
        TypeError: an option is unknown.

    """
    made = Config()
    made.errorlog = logging.getLogger("hypercorn.error")  # as it is: no handler is put there
    for name, value in options.items():
        if name not in _KNOWN:
            message = f"hypercorn has no option {name!r}"
            raise TypeError(message)
        setattr(made, name, value)
    return made
