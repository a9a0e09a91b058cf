"""What is answered at which path: the probes over HTTP, apart from any server."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import attrs

from lifecycle.probes import page
from lifecycle.probes.answers import Probe, ask, shown, unknown_of
from lifecycle.probes.responses import (
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    OK,
    Codes,
    Response,
    json_response,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lifecycle import System
    from lifecycle.report import ComponentStatus
    from lifecycle.states import Phase

PROBES: Final[Mapping[str, Probe]] = {
    "/health": "health",
    "/healthz": "health",
    "/livez": "health",
    "/ready": "ready",
    "/readyz": "ready",
    "/startup": "startup",
    "/startupz": "startup",
}
STATUS: Final = "/status"
PAGE: Final = "/"
EVENTS: Final = "/events"
"""What the page follows, while it is open."""
COMPONENT: Final = "component"
"""The parameter that names a component; there may be several."""
METHODS: Final = ("GET", "HEAD")


async def respond(
    system: System, method: str, path: str, query: str = "", codes: Codes | None = None
) -> Response:
    """Answer a request; whatever a client may say gets an answer.

    Args:
        system: the system that is asked about.
        method: ``GET`` or ``HEAD``; others are not allowed.
        path: the path, decoded.
        query: what followed the ``?``, as it came.
        codes: the status codes; by default those of the system's settings.

    """
    route = path.rstrip("/") or "/"
    if route not in PATHS:
        return _not_found(system)
    if method not in METHODS:
        return not_allowed(system, METHODS)
    codes = Codes(unavailable_code=system.settings.unavailable_code) if codes is None else codes
    names = parse_qs(query, keep_blank_values=True, errors="replace").get(COMPONENT, [])
    if route in PROBES:
        response = await _probe(system, PROBES[route], names, codes)
    elif route == PAGE:
        response = await page.page(system)
    elif route == EVENTS:
        response = page.events(system)
    else:
        response = _status(system, names)
    return response.for_head() if method == "HEAD" else response


def refuse(system: System, code: int, why: str) -> Response:
    """Answer what is no request that could be taken.

    Args:
        system: the system.
        code: the status code.
        why: what is wrong with it.

    """
    phase = system.status().phase
    return json_response(code, phase, {"error": why, "phase": phase})


def not_allowed(system: System, methods: Sequence[str]) -> Response:
    """Answer where another method was asked for.

    Args:
        system: the system.
        methods: those that there are.

    """
    phase = system.status().phase
    error = f"only {' and '.join(methods)} {'are' if methods[1:] else 'is'} answered"
    content = {"error": error, "phase": phase}
    return json_response(METHOD_NOT_ALLOWED, phase, content, ("Allow", ", ".join(methods)))


PATHS: Final = (*PROBES, STATUS, PAGE, EVENTS)


async def _probe(system: System, probe: Probe, names: list[str], codes: Codes) -> Response:
    answer = await ask(system, probe, names)
    if answer.unknown:
        return _unknown(answer.phase, answer.unknown, answer.components)
    content = {
        "probe": probe,
        "ok": answer.ok,
        "phase": answer.phase,
        "reason": answer.reason,
        "components": _components(answer.components),
    }
    shutting_down = answer.reason is not None
    code = codes.of(probe, ok=answer.ok, shutting_down=shutting_down, started=answer.started)
    return json_response(code, answer.phase, content)


def _status(system: System, names: list[str]) -> Response:
    status, unknown = shown(system), unknown_of(system, names)
    components = status.components
    if names:
        components = {name: components[name] for name in names if name in components}
    if unknown:
        return _unknown(status.phase, unknown, components)
    content = {
        "name": system.name,
        **_fields(status),
        "in_flight": [_fields(work) for work in status.in_flight],
        "components": _components(components),
    }
    return json_response(OK, status.phase, content)


def _unknown(
    phase: Phase, names: Iterable[str], components: Mapping[str, ComponentStatus]
) -> Response:
    content = {
        "error": "no component has that name",
        "unknown": names,
        "phase": phase,
        "components": _components(components),
    }
    return json_response(NOT_FOUND, phase, content)


def _not_found(system: System) -> Response:
    phase = system.status().phase
    return json_response(
        NOT_FOUND, phase, {"error": "nothing is here", "paths": PATHS, "phase": phase}
    )


def _components(components: Mapping[str, ComponentStatus]) -> dict[str, Any]:
    return {
        name: {**_fields(one), "checks": [_fields(check) for check in one.checks]}
        for name, one in components.items()
    }


def _fields(what: attrs.AttrsInstance) -> dict[str, Any]:
    # What `attrs.asdict` gives, less the time that it takes: there may be thousands a second.
    names, values = _fields_of(type(what))
    return dict(zip(names, values(what), strict=True))


@functools.cache
def _fields_of(kind: type[attrs.AttrsInstance]) -> tuple[tuple[str, ...], Callable[[Any], Any]]:
    names = tuple(field.name for field in attrs.fields(kind))
    return names, operator.attrgetter(*names)
