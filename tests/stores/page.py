"""The recipes of the how-to page, as a module: what is shown is what is tested."""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "data-stores.md"
_SHOWN = "## What it looks like"
"""From here on the page runs something."""
_number = itertools.count()


def recipes() -> Any:
    """Give the module of the page's components, anew each time."""
    declared, found, _ = PAGE.read_text(encoding="utf-8").partition(_SHOWN)
    assert found
    blocks = re.findall(r"^```python\n(.*?)^```$", declared, re.DOTALL | re.MULTILINE)
    module = ModuleType(f"data_stores_{next(_number)}")
    sys.modules[module.__name__] = module
    exec(compile("\n".join(blocks), str(PAGE), "exec"), vars(module))  # noqa: S102  it is ours
    return module
