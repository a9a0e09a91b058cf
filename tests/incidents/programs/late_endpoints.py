"""nginx in front of php-fpm, as two components of one program."""

from __future__ import annotations

import signal
import sys
from typing import Any

import lifecycle
from lifecycle import Registry, Settings
from lifecycle.integrations import process

BACKEND: Any = sys.argv[1]
FPM, NGINX, FOLDER = sys.argv[2:5]
HTTP, CGI = (int(port) for port in sys.argv[5:7])
STOP_SIGNAL = signal.Signals[sys.argv[7]]
DRAIN_DELAY = float(sys.argv[8])
IS_ORDERED = sys.argv[9] == "in order"

shop = Registry("shop")

php = shop.add(
    process.process(
        [FPM, "--nodaemonize", "--fpm-config", f"{FOLDER}/fpm.conf"],
        ready=process.tcp("127.0.0.1", CGI),
        stop_signal=STOP_SIGNAL,
    ),
    name="php",
)
nginx = shop.add(
    process.process(
        [NGINX, "-c", f"{FOLDER}/nginx.conf", "-e", "stderr"],
        # Not only nginx: php-fpm has to answer, too.
        ready=process.http(f"http://127.0.0.1:{HTTP}/work.php?ms=0"),
        stop_signal=STOP_SIGNAL,
    ),
    name="nginx",
    requires=[php] if IS_ORDERED else [],
)

if __name__ == "__main__":
    lifecycle.run(shop, Settings(drain_delay=DRAIN_DELAY, grace_period=30), backend=BACKEND)
