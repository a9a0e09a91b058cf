"""The web server of the shop: the last of its parts to start, and the first to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api import api
from parts import config, packing, shop

from lifecycle import requires
from lifecycle.integrations import uvicorn
from lifecycle.integrations.fastapi import provided_by

if TYPE_CHECKING:
    from config import Config

__all__ = ["shop", "web"]


@shop.build(requires=provided_by(api), after=[packing], drain_timeout=15)
def web(config: Config = requires(config)) -> uvicorn.Server:
    """It comes `after` the packing, so that no order arrives behind its back."""
    return uvicorn.server(api, host=config.host, port=config.port)
