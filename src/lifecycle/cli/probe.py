"""``lifecycle probe``: ask a service that runs, for ``HEALTHCHECK`` lines and exec probes."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from lifecycle.cli import asking
from lifecycle.errors import one_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

TARGET = None
HELP = "ask a service that runs whether it is ready, healthy, or started"
DESCRIPTION = """\
Ask a service that runs: exit code 0 if the answer is yes, 1 if it is no or there is none.
The service has to answer probes: LIFECYCLE_PROBES=:8081, or Settings.probes.
"""

_OK: Final = range(200, 400)


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
        "--component",
        action="append",
        default=[],
        metavar="NAME",
        help="ask about this component alone; may be given several times",
    )
    asking.add_arguments(parser)


def command(options: argparse.Namespace) -> int:
    """Ask, say what the answer was, and return 0 or 1.

    Raises:
        SettingsError: the address is none.

    """
    host, port = asking.address(options.address)
    query = urlencode([("component", name) for name in options.component])
    try:
        code, answer = asking.ask(host, port, f"/{options.probe}?{query}", options.timeout)
    except (OSError, ValueError) as error:
        place = asking.written(host, port)
        sys.stderr.write(f"lifecycle: no answer from {place}: {one_line(error)}\n")
        return 1
    if options.probe == "status" and code in _OK:
        sys.stdout.write(json.dumps(answer, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("\n".join(_in_words(options.probe, code, answer)) + "\n")
    return 0 if code in _OK else 1


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
