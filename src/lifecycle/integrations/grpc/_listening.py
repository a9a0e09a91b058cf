"""What every gRPC server is here: an object with a life, that listens at an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.integrations._living import Living
from lifecycle.integrations.grpc._address import Address

if TYPE_CHECKING:
    import grpc


class Listening(Living):
    """An async context manager that listens while it is entered.

    Entering raises an OSError where nobody can listen at the address, and a RuntimeError where it
    runs already, or cannot run on this event loop.
    """

    def __init__(self, address: str, credentials: grpc.ServerCredentials | None) -> None:
        """Note where it is to listen.

        Raises:
            SettingsError: `address` is none.

        """
        super().__init__()
        self._address = Address(address)
        self._credentials = credentials

    @property
    def port(self) -> int:
        """The port; where it was 0, the one that was found, once it listens. 0: it has none."""
        return self._address.port

    @property
    def target(self) -> str:
        """What a client on this machine connects to: ``grpc.insecure_channel(server.target)``."""
        return self._address.target

    def __repr__(self) -> str:
        return f"<grpc.{type(self).__name__} at {self.target}>"
