"""``python -m lifecycle``."""

from __future__ import annotations

import sys

from lifecycle.cli import main

if __name__ == "__main__":
    sys.exit(main())
