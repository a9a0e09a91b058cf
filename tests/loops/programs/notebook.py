"""Runs a notebook in a kernel, as Jupyter does, and prints what its cells say."""

from __future__ import annotations

import textwrap
from typing import Any

import nbclient
import nbformat.v4
from traitlets.config import Config

v4: Any = nbformat.v4  # it is not typed

CELLS = (
    """
    from lifecycle import Registry, running
    from lifecycle.apart import apart

    shop = Registry("shop")

    @shop.component
    async def database():
        yield "the database"
        print("database closed")
    """,
    """
    async with running(shop) as system:
        print(system[database])
    """,
    """
    import contextlib

    stack = contextlib.AsyncExitStack()
    system = await stack.enter_async_context(apart(shop))
    """,
    """
    print(system[database], system.status().phase)
    """,
    """
    await stack.aclose()
    print(system.report.outcome)
    """,
    """
    import asyncio

    print([task.get_name() for task in asyncio.all_tasks() if "lifecycle" in task.get_name()])
    """,
)

notebook = v4.new_notebook(cells=[v4.new_code_cell(textwrap.dedent(cell)) for cell in CELLS])
# By sockets in a folder of its own: ports are chosen long before the kernel listens there, and on a
# busy machine somebody else may do so first.
config = Config({"KernelManager": {"transport": "ipc"}})
nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3", config=config).execute()
for cell in notebook.cells:
    for output in cell.outputs:
        print(output["text"], end="")
