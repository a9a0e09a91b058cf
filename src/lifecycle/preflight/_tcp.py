"""The check that something listens at an address."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import anyio
import attrs

from lifecycle.errors import DefinitionError, PreflightError, one_line, seconds
from lifecycle.preflight._checks import demand_timeout, is_count, is_text, short
from lifecycle.settings import Retry, parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator

# The pauses between attempts: short at first, for what comes up together with us, then one in
# 2 s, which is no load on what does not. The end of the check is its timeout, not their number.
_RETRY = Retry(sys.maxsize, delay=0.1, factor=2, max_delay=2)

# One attempt: a lost first packet is sent again after 1 and after 3 s (RFC 6298), and a host that
# answers nothing at all must not eat the patience that a later attempt needs.
_ATTEMPT = 5.0


@attrs.frozen(eq=False)
class PortIsOpen:
    """That something listens at an address, sooner or later."""

    name: str
    host: str
    port: int
    timeout: float
    """For how long it is tried again, in seconds."""

    async def __call__(self) -> None:
        """Connect, and try again until it works.

        Raises:
            PreflightError: It has not worked in time; it says what the last attempt met.
        """
        last: BaseException = TimeoutError("no answer")
        with anyio.move_on_after(self.timeout):
            for pause in _RETRY.delays():
                try:
                    with anyio.fail_after(_ATTEMPT):
                        stream = await anyio.connect_tcp(self.host, self.port)
                except OSError as error:  # TimeoutError is one
                    last = error
                else:
                    await anyio.aclose_forcefully(stream)
                    return
                await anyio.sleep(pause)
        met = "; ".join(dict.fromkeys(one_line(error) for error in _causes(last)))
        reason = f"nothing to connect to in {seconds(self.timeout)}; the last attempt: {met}"
        raise PreflightError(self.name, reason) from last


def tcp(address: str, port: int | None = None, *, timeout: float = 30) -> PortIsOpen:
    """Check that something listens at an address, and wait for it within limits.

    It is tried again with pauses that grow from 0.1 to 2 s: a database that comes up at the same
    time is no failure.

    Args:
        address: Host and port, ``"db:5432"`` or ``"[::1]:5432"``; or the host alone, with `port`.
        port: The port, where `address` has none.
        timeout: For how long it is tried, in seconds.

    Raises:
        DefinitionError: It is no such address, or no such timeout.
    """
    demand_timeout("tcp", timeout)
    host, number = None, 0
    if is_text(address) and (port is None or is_count(port)):
        with contextlib.suppress(ValueError):
            host, number = parse_address(
                address if port is None else f"{_bracketed(address)}:{port}"
            )
    if host is None or number == 0:
        given = repr(address) if port is None else f"{address!r}, {port!r}"
        problem = f'preflight.tcp takes host and port, as in tcp("db:5432"), not {given}'
        raise DefinitionError(problem)
    return PortIsOpen(short(f"tcp {_bracketed(host)}:{number}"), host, number, float(timeout))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Find what anyio met at each of a name's addresses, below its own summary."""
    cause = error.__cause__
    inner: tuple[BaseException, ...] | None = getattr(cause, "exceptions", None)
    if inner is not None:
        yield from inner
    else:
        yield cause if isinstance(cause, OSError) else error
