"""The example, on the event loop that is named."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import lifecycle

BACKEND: Any = sys.argv[1]
sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "shop"))
lifecycle.run(importlib.import_module("web").shop, backend=BACKEND)
