"""The client as an object with a life, for ``add`` and ``build``."""

from __future__ import annotations

import inspect
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import temporalio.client

from lifecycle.integrations.temporal._asyncio import require_asyncio

if TYPE_CHECKING:
    from types import TracebackType


def client(target_host: str = "localhost:7233", **options: Any) -> Connection:
    """Make a client, for ``add`` and ``build``; the component's value is Temporal's own ``Client``.

    Args:
        target_host: ``"HOST:PORT"`` of Temporal's frontend.
        **options: those of ``Client.connect``: ``namespace``, ``api_key``, ``tls`` and so on.

    Raises:
        TypeError: an option is unknown.

    """
    inspect.signature(temporalio.client.Client.connect).bind(target_host, **options)
    return Connection(target_host, options)


class Connection(AbstractAsyncContextManager[temporalio.client.Client]):
    """A client, connected while it is entered.

    Temporal's client has nothing to close: what ends with the component is that others may use it.
    """

    def __init__(self, target_host: str, options: dict[str, Any]) -> None:
        """Made by :func:`client`."""
        self._target_host = target_host
        self._options = options

    async def __aenter__(self) -> temporalio.client.Client:
        """Connect.

        Raises:
            ConnectionError: nobody answers there; the message says why.
            RuntimeError: there is no asyncio here.

        """
        require_asyncio()
        try:
            return await temporalio.client.Client.connect(self._target_host, **self._options)
        except RuntimeError as error:
            message = f"cannot connect to Temporal at {self._target_host}: {error}"
            raise ConnectionError(message) from error

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Do nothing: there is nothing to close."""

    def __repr__(self) -> str:
        return f"<temporal.Connection to {self._target_host}>"
