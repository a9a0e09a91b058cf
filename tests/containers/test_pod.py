"""The manifest of the Kubernetes how-to, played, and its image: the service is PID 1."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.containers.kit import (
    CONTAINER,
    DEPLOYMENT,
    DOCKERFILE,
    ENVIRON,
    GRACE,
    IMAGE,
    MANIFEST,
    SHOP,
)
from tests.e2e.kit import GENEROUS, Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.containers.rig import Podman

POD_NAME = f"{DEPLOYMENT['metadata']['name']}-pod-0"
CONTAINER_NAME = f"{POD_NAME}-{CONTAINER['name']}"


@contextmanager
def played(podman: Podman, image: str, delay: int) -> Iterator[Process]:
    """Play the manifest, and give its log; in one replica, since all would have one network."""
    text = MANIFEST
    for shown, here in (
        (f"replicas: {DEPLOYMENT['spec']['replicas']}", "replicas: 1"),
        (IMAGE, image),
        (_delay(ENVIRON["LIFECYCLE_DRAIN_DELAY"]), _delay(delay)),
    ):
        assert shown in text
        text = text.replace(shown, here)
    manifest = podman.folder / "manifest.yaml"
    manifest.write_text(text, encoding="utf-8")
    podman("kube", "play", "--network=host", manifest)
    try:
        with podman.inside("podman", "logs", "--follow", CONTAINER_NAME) as log:
            yield log
    finally:
        podman("kube", "down", manifest)


def _delay(seconds: object) -> str:
    return f'LIFECYCLE_DRAIN_DELAY, value: "{seconds}"'


def probe(podman: Podman, what: str) -> int:
    """Make a probe of the manifest, as a kubelet does; gives the status."""
    get = CONTAINER[f"{what}Probe"]["httpGet"]
    url = f"http://127.0.0.1:{get['port']}{get['path']}"
    with podman.inside(
        "curl", "--silent", "--output", "-", "--write-out", "\n%{http_code}", url
    ) as asked:
        assert 0 == asked.wait()
        return int(asked.lines[-1])


@pytest.mark.parametrize(("name", "delay"), [("SIGTERM", 5), ("SIGQUIT", 1)])
def test_a_request_in_flight_when_the_pod_is_stopped(podman: Podman, name: str, delay: int) -> None:
    """It gets its answer, and the exit code is 0; meanwhile the pod is alive, and not ready.

    It is so with the signal that an image stops with by default, and with `STOPSIGNAL SIGQUIT`.
    """
    image = f"{IMAGE}-{name.lower()}"
    podman.build(SHOP, f"{DOCKERFILE}STOPSIGNAL {name}\n", image)
    with played(podman, image, delay) as log:
        log.until(" running$")
        assert 1 == status(podman.pid(CONTAINER_NAME), "NSpid")[-1]
        assert [200] * 3 == [probe(podman, what) for what in ("startup", "liveness", "readiness")]

        takes = delay + 9  # whatever is done meanwhile takes a second or two, or on a bad day five
        slow = f"http://127.0.0.1:8000/slow?seconds={takes}"
        with podman.inside("curl", "--silent", "--verbose", slow) as request:
            request.until("^> GET /slow")
            with podman.inside("podman", "pod", "stop", f"--time={GRACE}", POD_NAME) as stop:
                log.until(f"shutting down: received {name}$")
                assert [200, 503] == [probe(podman, what) for what in ("liveness", "readiness")]
                request.until(f'^{{"slept":{takes}.0}}')
                assert 0 == stop.wait(GRACE + GENEROUS)
        assert 0 == podman.exit_code(CONTAINER_NAME)
        log.until("closed: clean, exit code 0 ")


AGE = 0.05
"""How old the process is when it is told to end, in seconds: it still imports `lifecycle` then."""

BLOCKING = "env --block-signal=TERM,QUIT,INT"
"""What the page puts in front, for whom the time until an interpreter runs is too long."""


@pytest.mark.parametrize(
    "command", ["python -m lifecycle run", "lifecycle run", f"{BLOCKING} python -m lifecycle run"]
)
def test_a_signal_just_after_the_birth(podman: Podman, command: str) -> None:
    """A SIGTERM that comes 50 ms after the process was born is not lost: it ends in order.

    The kernel keeps signals from the first process of a container that it neither handles nor
    blocks. No Python can do so before the interpreter runs, which on a machine that is busy may be
    later: then it is told as soon as it blocks them. Where it was missed that it does, and now
    handles them, that was no test, and another one is started.
    """
    for _ in range(8):
        made = podman(
            "create", "--network=host", "--entrypoint=", IMAGE, *command.split(), "web:shop"
        )
        with born(podman, made) as pid:
            until_time(time.monotonic() + AGE)
            until(partial(blocks_or_handles, pid))
            os.kill(pid, signal.SIGSTOP)  # or it grows older between the look and the signal
            was_young = not term_is(pid, "SigCgt")
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)

        assert 0 == podman.exit_code(made)
        with podman.inside("podman", "logs", made) as logs:
            assert 0 == logs.wait()
        podman("rm", made)
        if was_young:
            break
    else:
        pytest.fail("it never blocked SIGTERM before it handled it")
    logs.until("shutting down: received SIGTERM$")
    assert "database starts" not in logs.output


@contextmanager
def born(podman: Podman, container: str) -> Iterator[int]:
    """Let its process be born, at this moment; gives its id."""
    podman("init", container)
    pid = podman.pid(container)
    name = Path(f"/proc/{pid}/comm")
    runtime = name.read_text(encoding="utf-8")  # what is about to become the process
    with podman.inside("podman", "start", container) as starting:
        until(lambda: name.read_text(encoding="utf-8") != runtime)
        yield pid
        assert 0 == starting.wait()


def status(pid: int, field: str) -> list[int]:
    """What the kernel says of a process."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(rf"^{field}:\s*(.*)$", text, re.MULTILINE)
    assert found, text
    return [int(word, 16) for word in found[1].split()]


def blocks_or_handles(pid: int) -> bool:
    """Whether a SIGTERM that is sent to a process now is not lost."""
    return term_is(pid, "SigBlk") or term_is(pid, "SigCgt")


def term_is(pid: int, field: str) -> bool:
    """Whether SIGTERM is in a set of signals of a process: SigBlk, blocked, or SigCgt, handled."""
    (signals,) = status(pid, field)
    return bool(signals >> (signal.SIGTERM - 1) & 1)


def until(is_so: Callable[[], bool]) -> None:
    """Look at another process, again and again: the kernel tells nobody that it has changed."""
    deadline = time.monotonic() + GENEROUS
    while not is_so():
        assert time.monotonic() < deadline, f"took {GENEROUS:g} s"


def until_time(due: float) -> None:
    """Wait until a time on the clock."""
    until(lambda: time.monotonic() >= due)
