"""Objects whose whole life is one ``with``, entered and left by the component that they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from typing_extensions import Self

from lifecycle import Lifetime

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType


class Living(ABC):
    """An async context manager that is made of :meth:`_living`, and can be entered again."""

    # It does not inherit from `AbstractAsyncContextManager`: what is entered is to be typed as what
    # it is, and not as this class.

    def __init__(self) -> None:
        """Prepare it; nothing runs yet."""
        self._life: AbstractAsyncContextManager[None] | None = None

    @abstractmethod
    def _living(self) -> AbstractAsyncContextManager[None]:
        """Do all that there is to do, for the time of a ``with``."""

    async def __aenter__(self) -> Self:
        """Start.

        Raises:
            RuntimeError: it runs already.

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


def owner() -> Lifetime[Any] | None:
    """Give the component whose hook runs; None: it is none, but used without a system."""
    try:
        return Lifetime.current()
    except LookupError:
        return None
