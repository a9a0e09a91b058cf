"""``lifecycle probe``: ask a service that runs, for ``HEALTHCHECK`` lines and exec probes."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlencode

from lifecycle.errors import SettingsError, one_line
from lifecycle.settings.address import EXPECTED, parse_address

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

TARGET = None
HELP = "ask a service that runs whether it is ready, healthy, or started"
DESCRIPTION = """\
Ask a service that runs: exit code 0 if the answer is yes, 1 if it is no or there is none.
The service has to answer probes: LIFECYCLE_PROBES=:8081, or Settings.probes.
"""

_VARIABLE: Final = "LIFECYCLE_PROBES"
_DEFAULT: Final = ":8081"
_EVERYWHERE: Final = {None: "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  it is asked, not bound
_OK: Final = range(200, 400)
_LONGEST: Final = 64 * 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        "probe",
        nargs="?",
        choices=("ready", "health", "startup", "status"),
        default="ready",
        help="what to ask (default: %(default)s); status shows everything, and is always 0",
    )
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help=f"where (default: {_VARIABLE} if it is set, else {_DEFAULT})",
    )
    parser.add_argument(
        "--component",
        action="append",
        default=[],
        metavar="NAME",
        help="ask about this component alone; may be given several times",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=2.0,
        metavar="SECONDS",
        help="how long to wait for each part of the answer (default: %(default)g)",
    )


def command(options: argparse.Namespace) -> int:
    """Ask, say what the answer was, and return 0 or 1.

    Raises:
        SettingsError: the address is none.

    """
    host, port = _address(options.address)
    query = urlencode([("component", name) for name in options.component])
    try:
        code, answer = _ask(host, port, f"/{options.probe}?{query}", options.timeout)
    except (OSError, ValueError) as error:
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        sys.stderr.write(f"lifecycle: no answer from {place}: {one_line(error)}\n")
        return 1
    if options.probe == "status" and code in _OK:
        sys.stdout.write(json.dumps(answer, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("\n".join(_in_words(options.probe, code, answer)) + "\n")
    return 0 if code in _OK else 1


def _address(given: str | None) -> tuple[str, int]:
    text = given or os.environ.get(_VARIABLE) or _DEFAULT
    try:
        host, port = parse_address(text)
    except ValueError:
        name = "--address" if given else _VARIABLE
        raise SettingsError(name, text, EXPECTED) from None
    return _EVERYWHERE.get(host) or host or "", port


def _ask(host: str, port: int, target: str, timeout: float) -> tuple[int, dict[str, Any]]:
    # By hand: `http.client` takes longer to import than all of this takes to run.
    with socket.create_connection((host, port), timeout) as connected:
        connected.sendall(f"GET {target} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        with connected.makefile("rb") as received:
            status, _, body = received.read(_LONGEST).partition(b"\r\n\r\n")
    line = re.match(rb"HTTP/1\.[01] (\d{3})\b", status)
    answer = json.loads(body) if line else None
    if line is None or not isinstance(answer, dict) or "phase" not in answer:
        message = "what answers there is no probe server of lifecycle"
        raise ValueError(message)
    return int(line[1]), cast("dict[str, Any]", answer)


def _in_words(probe: str, code: int, answer: Mapping[str, Any]) -> Iterator[str]:
    """The answer as a person would say it: what it was, and who is not in order."""
    verdict = "yes" if code in _OK else f"no ({code})"
    why = answer.get("error") or answer.get("reason")
    yield f"{probe}: {verdict}, {answer.get('phase')}" + (f": {why}" if why else "")
    for name in answer.get("unknown", ()):
        yield f"  {name}: unknown"
    for name, component in answer.get("components", {}).items():
        problems = list(_problems(component))
        if problems or component["state"] != "ready":
            yield f"  {name}: {', '.join([component['state'], *problems])}"


def _problems(component: Mapping[str, Any]) -> Iterator[str]:
    if component["error"]:
        yield component["error"]
    if component["unavailable"]:
        yield f"unavailable: {component['unavailable']}"
    yield from (f"{one['name']}: {one['error']}" for one in component["checks"] if not one["ok"])
