"""What an answer looks like in HTTP, whichever server sends it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import attrs

from lifecycle.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from lifecycle.states import Phase

# Nothing that users have given may keep a probe from being answered.
_encode = json.JSONEncoder(allow_nan=False, default=str).encode

PHASE_HEADER: Final = "Lifecycle-Phase"
JSON: Final = "application/json"
OK: Final = 200
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
METHOD_NOT_ALLOWED: Final = 405

_WITHOUT_BODY: Final = (204, 205, 304)
_EXPECTED: Final = "an HTTP status code from 200 to 599 that has a body, as in 503"


@attrs.frozen
class Response:
    """A response, ready to be sent."""

    code: int
    headers: tuple[tuple[str, str], ...]
    """Complete, but for what belongs to the connection."""
    body: bytes = b""
    """Empty where HEAD was asked; the length in the headers is that of GET all the same."""
    stream: Callable[[], AsyncGenerator[bytes]] | None = None
    """In place of a body: what gives its pieces, until it ends or the client leaves."""

    def for_head(self) -> Response:
        """The same as the answer to HEAD."""
        return attrs.evolve(self, body=b"", stream=None)


def _check_code(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    is_code = isinstance(value, int) and 200 <= value <= 599 and value not in _WITHOUT_BODY  # noqa: PLR2004  the codes of final responses
    if value is not None and not is_code:
        raise SettingsError(attribute.name, value, _EXPECTED)


@attrs.frozen(kw_only=True)
class Codes:
    """The status codes of what is not simply 200.

    Raises:
        SettingsError: it is no code of a response that has a body.

    """

    unavailable_code: int = attrs.field(default=503, validator=_check_code)
    """Of a probe that is not ok."""
    health_while_shutting_down: int | None = attrs.field(default=200, validator=_check_code)
    """Of ``/health`` once a shutdown was asked for; None: as before."""
    ready_while_shutting_down: int | None = attrs.field(default=None, validator=_check_code)
    """Of ``/ready`` likewise, where the start was done; None: `unavailable_code`."""

    def of(self, probe: str, *, ok: bool, shutting_down: bool, started: bool = True) -> int:
        """The code of an answer."""
        # Where a start is rolled back, nobody has been sent here yet, and nobody is to be.
        if shutting_down and (probe == "health" or (probe == "ready" and started)):
            code: int | None = getattr(self, f"{probe}_while_shutting_down")
            if code is not None:
                return code
        return OK if ok else self.unavailable_code


def headers(
    phase: Phase, content_type: str, length: int | None = None, *more: tuple[str, str]
) -> tuple[tuple[str, str], ...]:
    """The headers that every answer has.

    Args:
        phase: where the system is.
        content_type: of the body.
        length: of the body, in bytes; None where it is a stream.
        *more: further ones.

    """
    sized = () if length is None else (("Content-Length", str(length)),)
    return (
        ("Content-Type", content_type),
        *sized,
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        (PHASE_HEADER, str(phase)),
        *more,
    )


def json_response(
    code: int, phase: Phase, content: dict[str, Any], *more: tuple[str, str]
) -> Response:
    """A response with a JSON document.

    Args:
        code: the status code.
        phase: where the system is.
        content: the document.
        *more: further headers.

    """
    body = _encode(content).encode()
    return Response(code, headers(phase, JSON, len(body), *more), body)
