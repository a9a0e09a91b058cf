"""What can be said to granian in here, and what cannot."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Final

from granian.server.embed import Server

from lifecycle.integrations import _refused

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOGGING: Final = (
    "set up logging for the whole program; its loggers are `_granian` and `granian.access`"
)

REFUSED: Final = {
    "address": "say `host`",
    "factory": _refused.FACTORY,
    "interface": _refused.INTERFACE,
    "log_dictconfig": _LOGGING,
    "log_enabled": _LOGGING,
    "log_level": _LOGGING,
    "target": "pass the app itself",
    "task_impl": "only tasks of asyncio's own can be cancelled",
    "uds": _refused.TCP,
}

_KNOWN: Final = frozenset(inspect.signature(Server.__init__).parameters)


def check(names: Iterable[str]) -> None:
    """See that options are known, and can work in here.

    Raises:
        TypeError: one of them is not, or cannot; the message says why.

    """
    _refused.check("granian", names, REFUSED)
    for name in names:
        if name not in _KNOWN:
            message = f"granian's embedded server has no option {name!r}"
            raise TypeError(message)
