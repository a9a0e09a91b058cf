"""The example service keeps its promises, whatever goes wrong with one of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config import Config
from parts import config, packing, shop

from lifecycle import testing

if TYPE_CHECKING:
    from pathlib import Path


def test_the_shop_keeps_every_promise(tmp_path: Path) -> None:
    """Every fault in every hook, and a shutdown at each step of the start, on both event loops."""
    # Whoever has imported the module `web` has added the server to the shop.
    parts = shop.only(packing).override(config.to(Config("127.0.0.1", 0, tmp_path)))
    verification = testing.verify(parts)

    assert () == verification.broken
    assert verification.lives > 100
