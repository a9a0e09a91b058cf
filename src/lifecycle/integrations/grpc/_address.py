"""Where a server listens: as people write it, as gRPC wants it, and why it cannot."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, cast

from lifecycle.errors import SettingsError
from lifecycle.integrations._threads import outlasted
from lifecycle.settings.address import EXPECTED, parse_address
from lifecycle.sockets import bind

if TYPE_CHECKING:
    import grpc
    import grpc.aio

_NO_TCP = ("unix:", "unix-abstract:", "vsock:")


class Address:
    """An address to listen at."""

    def __init__(self, text: str) -> None:
        """Take it apart.

        Raises:
            SettingsError: it is none.

        """
        expected = f'{EXPECTED}, or "unix:PATH"'
        if not isinstance(cast("object", text), str):
            raise SettingsError("address", text, expected)
        self._text = text
        self._is_tcp = not text.startswith(_NO_TCP)
        self._host: str | None = None
        self._wanted = 0
        if self._is_tcp:
            try:
                self._host, self._wanted = parse_address(text)
            except ValueError:
                raise SettingsError("address", text, expected) from None
        self.port = self._wanted
        """The port; where it was 0, the one that was found, once somebody listens there."""

    @property
    def target(self) -> str:
        """What a client on this machine connects to."""
        if not self._is_tcp:
            return self._text
        host = {None: "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104  it is replaced
        return f"{_in_brackets(str(host))}:{self.port}"

    async def listen(
        self, server: grpc.Server | grpc.aio.Server, credentials: grpc.ServerCredentials | None
    ) -> None:
        """Let a server listen here.

        Raises:
            OSError: it cannot; the message says where, and why.

        """
        where = self._text
        if self._is_tcp:
            where = f"{_in_brackets(self._host or '::')}:{self._wanted}"
        try:
            # In a thread, since it may have to look up a name. Where that thread goes on while the
            # server is ended, gRPC aborts the process.
            add = functools.partial(server.add_insecure_port, where)
            if credentials is not None:
                add = functools.partial(server.add_secure_port, where, credentials)
            found = await outlasted(add)
        except RuntimeError as error:
            if self._is_tcp:
                # gRPC says only that it failed: the reason is found by trying the same.
                for one in await bind(self._host, self._wanted):
                    one.close()
            message = f"cannot listen on {self._text}: {error}"
            raise OSError(message) from error
        self.port = found if self._is_tcp else 0


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host else host
