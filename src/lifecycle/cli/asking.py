"""Asking the probe server of a service that runs, from the command line."""

from __future__ import annotations

import json
import os
import re
import socket
from typing import TYPE_CHECKING, Any, Final, cast

from lifecycle.errors import SettingsError
from lifecycle.settings.address import EXPECTED, parse_address

if TYPE_CHECKING:
    import argparse

_VARIABLE: Final = "LIFECYCLE_PROBES"
_DEFAULT: Final = ":8081"
_EVERYWHERE: Final = {None: "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  it is asked, not bound
_LONGEST: Final = 64 * 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where to ask, and how long to wait."""
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help=f"where (default: {_VARIABLE} if it is set, else {_DEFAULT})",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=2.0,
        metavar="SECONDS",
        help="how long to wait for each part of the answer (default: %(default)g)",
    )


def address(given: str | None) -> tuple[str, int]:
    """Take an address apart, or find the usual one.

    Raises:
        SettingsError: it is none.

    """
    text = given or os.environ.get(_VARIABLE) or _DEFAULT
    try:
        host, port = parse_address(text)
    except ValueError:
        name = "--address" if given else _VARIABLE
        raise SettingsError(name, text, EXPECTED) from None
    return _EVERYWHERE.get(host) or host or "", port


def written(host: str, port: int) -> str:
    """Write an address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def ask(
    host: str, port: int, target: str, timeout: float, *, method: str = "GET"
) -> tuple[int, dict[str, Any]]:
    """Send a request, and give the status code and the content of the answer.

    Raises:
        OSError: there is no answer.
        ValueError: it is none of ours.

    """
    # By hand: `http.client` takes longer to import than all of this takes to run.
    request = f"{method} {target} HTTP/1.0\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"
    with socket.create_connection((host, port), timeout) as connected:
        connected.sendall(request.encode())
        with connected.makefile("rb") as received:
            status, _, body = received.read(_LONGEST).partition(b"\r\n\r\n")
    line = re.match(rb"HTTP/1\.[01] (\d{3})\b", status)
    answer = json.loads(body) if line else None
    if line is None or not isinstance(answer, dict) or "phase" not in answer:
        message = "what answers there is no probe server of lifecycle"
        raise ValueError(message)
    return int(line[1]), cast("dict[str, Any]", answer)
