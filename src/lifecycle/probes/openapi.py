"""What the probe server speaks, as an OpenAPI description.

It is made of the tables and classes that the answers are made of, so that it cannot say anything
else than they do.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Mapping
from typing import Any, Final, get_args, get_origin, get_type_hints

import attrs

from lifecycle.probes.drain import DRAIN, DRAIN_METHOD
from lifecycle.probes.responses import (
    FORBIDDEN,
    JSON,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    OK,
    PHASE_HEADER,
    Codes,
)
from lifecycle.probes.routes import COMPONENT, METHODS, PROBES, STATUS
from lifecycle.report import CheckResult, ComponentStatus, Status, Work
from lifecycle.states import Outcome, Phase, State

__all__ = ["description"]

_NAMES: Final = {"Mapping": Mapping, "Outcome": Outcome, "Phase": Phase, "State": State}
_SIMPLE: Final[Mapping[Any, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}
_PHASE: Final = {"$ref": "#/components/schemas/Phase"}
_COMPONENTS: Final = {
    "type": "object",
    "additionalProperties": {"$ref": "#/components/schemas/ComponentStatus"},
}
_STRINGS: Final = {"type": "array", "items": {"type": "string"}}


def description(codes: Codes | None = None) -> dict[str, Any]:
    """Describe the probes and the status in OpenAPI 3.1: a document that can be dumped as JSON.

    Args:
        codes: the status codes that the server was given, if they are not the usual ones.

    """
    codes = Codes() if codes is None else codes
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lifecycle probes",
            "version": "1",
            "description": "Whether a system is healthy, ready and started.",
        },
        "paths": {
            **{path: _operations(path, _probe(probe, codes)) for path, probe in PROBES.items()},
            STATUS: _operations(STATUS, {str(OK): _response("How it stands.", "Status")}),
            DRAIN: {DRAIN_METHOD.lower(): _draining()},
        },
        "components": {"schemas": _schemas()},
    }


def _operations(path: str, responses: dict[str, Any]) -> dict[str, Any]:
    asked = {
        "name": COMPONENT,
        "in": "query",
        "description": "The name of a component; there may be several, and then these count alone.",
        "schema": _STRINGS,
    }
    everywhere = {
        str(NOT_FOUND): _response("No component has that name.", "UnknownComponent"),
        str(METHOD_NOT_ALLOWED): _response("Only GET and HEAD are answered.", "Refusal"),
        "4XX": _response("This is no request that could be taken.", "Refusal"),
    }
    return {
        method.lower(): {
            "operationId": f"{method.lower()}{path.replace('/', '_')}",
            "parameters": [asked],
            "responses": {**responses, **everywhere},
        }
        for method in METHODS
    }


def _draining() -> dict[str, Any]:
    return {
        "operationId": f"{DRAIN_METHOD.lower()}{DRAIN.replace('/', '_')}",
        "description": "Asks for a shutdown: not ready from now on, serving for the drain delay.",
        "responses": {
            str(OK): _response("It has begun, by this request or before it.", "Draining"),
            str(FORBIDDEN): _response("Asked for from another machine.", "Refusal"),
            str(METHOD_NOT_ALLOWED): _response(f"Only {DRAIN_METHOD} is answered.", "Refusal"),
            "4XX": _response("This is no request that could be taken.", "Refusal"),
        },
    }


def _probe(probe: str, codes: Codes) -> dict[str, Any]:
    possible = {
        codes.of(probe, ok=ok, shutting_down=shutting_down)
        for ok in (True, False)
        for shutting_down in (True, False)
    }
    return {str(code): _response(f"What /{probe} says.", "Answer") for code in sorted(possible)}


def _response(text: str, schema: str) -> dict[str, Any]:
    return {
        "description": text,
        "headers": {PHASE_HEADER: {"required": True, "schema": _PHASE}},
        "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


# --- schemas -------------------------------------------------------------------------------------


def _schemas() -> dict[str, Any]:
    status = _of_class(Status)
    status["properties"]["name"] = {"type": "string"}
    status["required"].append("name")
    return {
        "Status": status,
        **{kind.__name__: _of_class(kind) for kind in (ComponentStatus, CheckResult, Work)},
        **{
            kind.__name__: {"enum": [one.value for one in kind]} for kind in (Phase, State, Outcome)
        },
        "Answer": _object(
            probe={"enum": sorted(set(PROBES.values()))},
            ok={"type": "boolean"},
            phase=_PHASE,
            reason=_of_type(str | None),
            components=_COMPONENTS,
        ),
        "UnknownComponent": _object(
            error={"type": "string"}, unknown=_STRINGS, phase=_PHASE, components=_COMPONENTS
        ),
        "Draining": _object(phase=_PHASE, reason={"type": "string"}, delay_left={"type": "number"}),
        "Refusal": _object(error={"type": "string"}, phase=_PHASE),
    }


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _of_class(kind: type[attrs.AttrsInstance]) -> dict[str, Any]:
    hints = get_type_hints(kind, localns=_NAMES)
    return _object(**{field.name: _of_type(hints[field.name]) for field in attrs.fields(kind)})


def _of_type(kind: Any) -> dict[str, Any]:
    if kind in _SIMPLE:
        return {"type": _SIMPLE[kind]}
    origin, args = get_origin(kind), get_args(kind)
    if origin is types.UnionType:
        return {"anyOf": [_of_type(one) for one in args]}
    if origin is tuple:
        return {"type": "array", "items": _of_type(args[0])}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _of_type(args[1])}
    assert issubclass(kind, enum.Enum) or attrs.has(kind)  # noqa: S101  nothing else is in a status
    return {"$ref": f"#/components/schemas/{kind.__name__}"}
