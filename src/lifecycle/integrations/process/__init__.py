"""Other programs as components.

::

    php = shop.add(
        process.process(
            ["php-fpm8.2", "--nodaemonize"],
            ready=process.tcp("127.0.0.1:9000"),
            stop_signal=signal.SIGQUIT,
        ),
        name="php",
    )
    nginx = shop.add(
        process.process(
            ["nginx", "-g", "daemon off;"],
            ready=process.http("http://127.0.0.1:8080/"),
            stop_signal=signal.SIGQUIT,
        ),
        name="nginx",
        requires=[php],
    )

A program is ready when what `ready` says has come true. It is asked to stop by its `stop_signal`
when it is to drain, and has the component's ``drain_timeout`` to finish what it has in flight; what
is left after that gets SIGTERM, and then SIGKILL, with all that it has started. What it writes is
logged. When it ends by itself the component crashes, or it is started again (`restart`).

Nothing of it outlives this process, not even where this process is killed with SIGKILL.
"""

from __future__ import annotations

from lifecycle.integrations.process._declaring import ProcessOptions, pool, process
from lifecycle.integrations.process._errors import ProcessError
from lifecycle.integrations.process._knocking import http, tcp, unix
from lifecycle.integrations.process._listening import line, notify
from lifecycle.integrations.process._looking import file, when
from lifecycle.integrations.process._process import Process
from lifecycle.integrations.process._ready import Ready

__all__ = [
    "Process",
    "ProcessError",
    "ProcessOptions",
    "Ready",
    "file",
    "http",
    "line",
    "notify",
    "pool",
    "process",
    "tcp",
    "unix",
    "when",
]
