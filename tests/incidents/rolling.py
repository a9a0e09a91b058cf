"""Rolling restarts of nginx and php-fpm under load, of which a load balancer learns late.

Two replicas, each a program of ours with its own nginx and php-fpm. They are restarted in turn, by
a real SIGTERM, while clients send requests without pause: short and long ones, on new and on kept
connections. A client takes any replica that the load balancer has in its list; a replica is struck
off `LAG` seconds *after* its SIGTERM, as in Kubernetes.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import tempfile
import threading
from collections import Counter
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from tests.cluster.spec import Ports
from tests.e2e.kit import GENEROUS, Process, running_program

if TYPE_CHECKING:
    from collections.abc import Iterator

LAG: Final = 0.4
"""How late the load balancer learns that a replica ends, in seconds."""
LONG: Final = 600
"""How long a long request takes, in milliseconds."""
SHORT: Final = 40
CLIENTS: Final = ((LONG, False), (LONG, False), (LONG, True), (SHORT, False), (SHORT, True))
"""What each client sends: requests of that length, and whether on a connection that it keeps."""

_FPM = """
[global]
error_log = /dev/stderr
daemonize = no
{control}
[www]
user = www-data
group = www-data
listen = 127.0.0.1:{cgi}
pm = static
pm.max_children = 6
"""
_NGINX = """
daemon off;
user www-data;
worker_processes 2;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/tmp; proxy_temp_path {folder}/tmp;
  fastcgi_temp_path {folder}/tmp; uwsgi_temp_path {folder}/tmp; scgi_temp_path {folder}/tmp;
  server {{
    listen 127.0.0.1:{http};
    root {folder};
    location ~ \\.php$ {{
      fastcgi_pass 127.0.0.1:{cgi};
      fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method;
    }}
  }}
}}
"""
# No `sleep`, which a signal would cut short: the request would seem to be finished.
_PHP = """<?php
$end = microtime(true) + $_GET["ms"] / 1000;
while (microtime(true) < $end) usleep(10000);
echo "done";
"""


@attrs.frozen
class Variant:
    """How the programs are stopped; in every way as it should be, but for what is said."""

    name: str
    stop_signal: signal.Signals = signal.SIGQUIT
    drain_delay: float = LAG + 1.8
    """More than the lag: clients, too, may be late, on a machine that is busy."""
    is_ordered: bool = True
    """Whether nginx ends before php-fpm does; else they are told at the same time."""
    has_control_timeout: bool = True
    """Whether php-fpm has a ``process_control_timeout``, without which QUIT waits for nothing."""


OURS: Final = Variant("QUIT, in order, with a delay")
AS_THEY_ARE: Final = Variant(
    "TERM, all at once, at once", signal.SIGTERM, 0, is_ordered=False, has_control_timeout=False
)
LESS: Final = (
    Variant("  with TERM", signal.SIGTERM),
    Variant("  without the delay", drain_delay=0),
    Variant("  all at once", is_ordered=False),
    Variant(
        "  all at once, no process_control_timeout", is_ordered=False, has_control_timeout=False
    ),
)
"""Ours, with one thing missing."""


def fpm() -> str | None:
    """Find php-fpm, whose version is a part of its name."""
    folders = (Path(folder) for folder in ("/usr/sbin", "/usr/local/sbin", "/usr/bin"))
    found = sorted(path for folder in folders for path in folder.glob("php-fpm*"))
    return str(found[-1]) if found else None


def nginx() -> str | None:
    """Find nginx."""
    return shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")


def why_not() -> str | None:
    """Say what is missing; None: nothing."""
    if fpm() is None or nginx() is None:
        return "nginx and php-fpm are not both installed (Debian: apt-get install nginx php-fpm)"
    return None


@attrs.frozen(eq=False)
class Endpoint:
    """One life of a replica, as a load balancer has it."""

    port: int


class Endpoints:
    """The list of a load balancer."""

    def __init__(self) -> None:
        self._listed: tuple[Endpoint, ...] = ()
        self._lock = threading.Lock()

    def add(self, endpoint: Endpoint) -> None:
        """Send requests to it from now on."""
        with self._lock:
            self._listed = (*self._listed, endpoint)

    def remove(self, endpoint: Endpoint) -> None:
        """Send no more requests to it."""
        with self._lock:
            self._listed = tuple(one for one in self._listed if one is not endpoint)

    def any(self) -> Endpoint:
        """Choose one."""
        return random.choice(self._listed)  # noqa: S311  nothing secret


@attrs.define
class Counted:
    """What came of the requests."""

    variant: str
    restarts: int = 0
    answered: int = 0
    failed: Counter[str] = attrs.field(factory=Counter)

    @property
    def failures(self) -> int:
        """How many failed."""
        return sum(self.failed.values())

    def __str__(self) -> str:
        how = ", ".join(f"{count} {kind}" for kind, count in self.failed.most_common())
        total = self.answered + self.failures
        return f"{self.variant:42}{self.restarts:9}{total:10}{self.failures:8}  {how}".rstrip()


HEAD: Final = f"{'':42}{'restarts':>9}{'requests':>10}{'failed':>8}"


class Client(threading.Thread):
    """Sends requests, one after the other, until it is told to stop."""

    def __init__(self, endpoints: Endpoints, counted: Counted, length: int, *, keeps: bool) -> None:
        super().__init__(name="client")
        self._endpoints = endpoints
        self._counted = counted
        self._length = length
        self._keeps = keeps
        # By endpoint, and not by port: connections to one that was struck off are of no more use.
        self._kept: dict[Endpoint, HTTPConnection] = {}
        self._enough = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._enough.is_set():
            endpoint = self._endpoints.any()
            try:
                problem = self._request(endpoint)
            except (OSError, HTTPException) as error:
                problem = type(error).__name__
            if problem:
                self._counted.failed[problem] += 1
                self._close(endpoint)
                # To fail takes no less time than to be answered: else failures would be the most.
                self._enough.wait(self._length / 1000)
            else:
                self._counted.answered += 1
        for endpoint in list(self._kept):
            self._close(endpoint)

    def _request(self, endpoint: Endpoint) -> str:
        """Send one; says what is wrong with the answer."""
        connection = self._kept.get(endpoint)
        if connection is None:
            connection = HTTPConnection("127.0.0.1", endpoint.port, timeout=GENEROUS)
            self._kept[endpoint] = connection
        headers = {} if self._keeps else {"Connection": "close"}
        connection.request("GET", f"/work.php?ms={self._length}", headers=headers)
        response = connection.getresponse()
        body = response.read()
        if not self._keeps:
            self._close(endpoint)
        return "" if (response.status, body) == (200, b"done") else f"status {response.status}"

    def _close(self, endpoint: Endpoint) -> None:
        connection = self._kept.pop(endpoint, None)
        if connection is not None:
            connection.close()

    def stop(self) -> None:
        """Finish the request that is under way, and end."""
        self._enough.set()


class Replica:
    """One program, with ports of its own that it keeps over its restarts."""

    def __init__(self, test: str, backend: str, variant: Variant, folder: Path) -> None:
        # Held, so that nobody else gets them while it is away.
        self._ports = Ports.reserve(("http", "cgi"))
        self.port, cgi = self._ports["http"], self._ports["cgi"]
        self._test = test
        self._args = [str(fpm()), str(nginx()), str(folder), str(self.port), str(cgi)]
        self._args += [variant.stop_signal.name, str(variant.drain_delay)]
        self._args += ["in order" if variant.is_ordered else "at once"]
        self._backend = backend
        self._folder = folder
        self._stack = contextlib.ExitStack()
        self.process: Process | None = None
        self.endpoint = Endpoint(self.port)
        control = "process_control_timeout = 10s" if variant.has_control_timeout else ""
        (folder / "tmp").mkdir(parents=True)
        folder.chmod(0o755)
        (folder / "fpm.conf").write_text(_FPM.format(cgi=cgi, control=control))
        text = _NGINX.format(cgi=cgi, http=self.port, folder=folder)
        (folder / "nginx.conf").write_text(text)
        (folder / "work.php").write_text(_PHP)

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        program = running_program(self._test, "late_endpoints", self._backend, *self._args)
        self.process = self._stack.enter_context(program)
        self.process.until(" running$")
        self.endpoint = Endpoint(self.port)

    def terminate(self) -> None:
        """Send it a SIGTERM."""
        assert self.process is not None
        self.process.send(signal.SIGTERM)

    def ended(self) -> None:
        """Wait for its end, which is a good one."""
        assert self.process is not None
        code = self.process.wait()
        assert code == 0, self.process.output
        self._stack.close()

    def kill(self) -> None:
        """End it, however it is."""
        self._stack.close()
        self._ports.release()


def roll(test: str, backend: str, variant: Variant, restarts: int) -> Counted:
    """Restart replicas in turn, under load; gives what came of the requests."""
    counted = Counted(variant.name)
    endpoints = Endpoints()
    with _folder() as folder, contextlib.ExitStack() as stack:
        replicas = [Replica(test, backend, variant, folder / str(n)) for n in range(2)]
        for replica in replicas:
            stack.callback(replica.kill)
            replica.start()
            endpoints.add(replica.endpoint)
        with _load(endpoints, counted):
            for number in range(restarts):
                replica = replicas[number % 2]
                _await_answers(counted, 2 * len(CLIENTS))
                learns = threading.Timer(LAG, endpoints.remove, [replica.endpoint])
                learns.start()
                replica.terminate()
                replica.ended()
                learns.join()
                replica.start()
                endpoints.add(replica.endpoint)
                counted.restarts += 1
            _await_answers(counted, 2 * len(CLIENTS))
    return counted


@contextlib.contextmanager
def _load(endpoints: Endpoints, counted: Counted) -> Iterator[None]:
    clients = [Client(endpoints, counted, length, keeps=keeps) for length, keeps in CLIENTS]
    try:
        yield
    finally:
        for client in clients:
            client.stop()
        for client in clients:
            client.join()


def _await_answers(counted: Counted, number: int) -> None:
    """Let the load flow: wait for so many more answers."""
    # Nobody tells; a look costs nothing, and that there are any answers is what is asked here.
    goal, pause, patience = counted.answered + number, threading.Event(), GENEROUS
    while counted.answered < goal:
        assert patience > 0, "there are no answers any more"
        patience -= 0.02
        pause.wait(0.02)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Give a folder that nginx's and php-fpm's own user can read, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp(prefix="late_endpoints."))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
