"""What every gRPC server is here: an object with a life, that listens at an address."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from typing_extensions import Self

from lifecycle import Lifetime
from lifecycle.integrations.grpc._address import Address

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    import grpc


class Listening(ABC):
    """An async context manager that listens while it is entered."""

    # It does not inherit from `AbstractAsyncContextManager`: what is entered is to be typed as what
    # it is, and not as this class.

    def __init__(self, address: str, credentials: grpc.ServerCredentials | None) -> None:
        """Note where it is to listen.

        Raises:
            SettingsError: `address` is none.

        """
        self._address = Address(address)
        self._credentials = credentials
        self._life: AbstractAsyncContextManager[None] | None = None

    @property
    def port(self) -> int:
        """The port; where it was 0, the one that was found, once it listens. 0: it has none."""
        return self._address.port

    @property
    def target(self) -> str:
        """What a client on this machine connects to: ``grpc.insecure_channel(server.target)``."""
        return self._address.target

    async def __aenter__(self) -> Self:
        """Listen, and serve.

        Raises:
            OSError: nobody can listen at the address.
            RuntimeError: it runs already, or cannot run on this event loop.

        """
        if self._life is not None:
            message = f"{self!r} runs already"
            raise RuntimeError(message)
        self._life = self._living()
        try:
            await self._life.__aenter__()
        except BaseException:
            self._life = None
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """End what is left. Cancelled, it cuts off whatever is left."""
        life, self._life = self._life, None
        assert life is not None  # noqa: S101  it was entered
        return await life.__aexit__(kind, error, traceback)

    @abstractmethod
    def _living(self) -> AbstractAsyncContextManager[None]:
        """Listen and serve, for the time of a ``with``."""

    def __repr__(self) -> str:
        return f"<grpc.{type(self).__name__} at {self.target}>"


def owner() -> Lifetime[Any] | None:
    """The component that is being started; None: it is none, but used without a system."""
    try:
        return Lifetime.current()
    except LookupError:
        return None
