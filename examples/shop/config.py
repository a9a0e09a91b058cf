"""What can be said from outside."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Config:
    """What can be said from outside."""

    host: str
    port: int
    data: Path

    @classmethod
    def from_env(cls) -> Config:
        """Read it from environment variables."""
        host = os.environ.get("SHOP_HOST", "127.0.0.1")
        port = int(os.environ.get("SHOP_PORT", "8000"))
        return cls(host=host, port=port, data=cls.data_directory())

    @staticmethod
    def data_directory() -> Path:
        """The directory of the database."""
        return Path(os.environ.get("SHOP_DATA", tempfile.gettempdir()))
