"""The shape of the house: what may import what, and what nobody may call."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"
MODULES = sorted((SRC / "lifecycle").rglob("*.py"))
CORE = [path for path in MODULES if path.is_relative_to(SRC / "lifecycle" / "_core")]
SCRIPTS = sorted(path for folder in ("src", "tests") for path in (ROOT / folder).rglob("*.py"))

# A clock, an event loop, or the outside world.
IMPURE = {
    "anyio",
    "asyncio",
    "concurrent",
    "os",
    "sched",
    "select",
    "selectors",
    "signal",
    "sniffio",
    "socket",
    "subprocess",
    "threading",
    "time",
    "trio",
    "uvloop",
}
STDLIB = sys.stdlib_module_names | {"annotationlib", "tomllib"}  # newer than some we run on
REQUIRED = {"anyio", "attr", "attrs", "typing_extensions"}
EXTRAS = {
    "fastapi",
    "grpc",
    "h11",
    "granian",
    "hypercorn",
    "opentelemetry",
    "prometheus_client",
    "starlette",
    "trio",
    "uvicorn",
    "uvloop",
}
# Everywhere else an extra may be imported only by a function, and only one that is a backend: the
# user has chosen it by then.
BACKENDS = {"trio", "uvloop"}
MODULES_OF_EXTRAS = (
    "lifecycle.integrations",
    "lifecycle.probes",
    "lifecycle.testing._pytest",
    "lifecycle.testing._turnstile",
    "lifecycle.testing._virtual_clock",
)
MAKE_TASKS = (
    "lifecycle.apart",  # there is no group around two ends that are in different tasks
    "lifecycle.integrations.grpc._own_loop",  # what gRPC asks for its own tasks
    "lifecycle.testing._virtual_loop",  # an event loop: what task groups create theirs with
    "lifecycle.testing.faults",  # a task that is leaked is one of them
)
EDGES = ("__main__", "asgi", "cli", "integrations", "preflight", "probes", "testing")


def dotted(path: Path) -> str:
    """Give the dotted name of a module in src/."""
    name = ".".join(path.relative_to(SRC).with_suffix("").parts)
    return name.removesuffix(".__init__")


def of_source(*paths: Path) -> pytest.MarkDecorator:
    """Run a test once for each of these files."""
    names = [str(path.relative_to(ROOT)) for path in paths]
    return pytest.mark.parametrize("path", paths, ids=names)


def parse(path: Path) -> ast.Module:
    """Read a file as a syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def is_for_type_checkers(node: ast.AST) -> bool:
    """Tell whether this is an `if TYPE_CHECKING:`."""
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports(node: ast.AST, *, lazy: bool = False) -> Iterator[tuple[int, str, bool]]:
    """Find what is imported at run time: line, module, whether only by a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield child.lineno, alias.name, lazy
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: a relative import"
            yield child.lineno, child.module or "", lazy
            for alias in child.names:
                yield child.lineno, f"{child.module}.{alias.name}", lazy
        elif is_for_type_checkers(child):
            assert isinstance(child, ast.If)
            for other in child.orelse:
                yield from imports(ast.Module([other], []), lazy=lazy)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(child, lazy=lazy or inside)


@of_source(*CORE)
def test_the_core_does_not_await(path: Path) -> None:
    """Nothing in `_core` is asynchronous: facts in, commands out."""
    suspending = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)

    found = [node.lineno for node in ast.walk(parse(path)) if isinstance(node, suspending)]

    assert [] == found


@of_source(*CORE)
def test_the_core_knows_no_clock_and_no_outside(path: Path) -> None:
    """`_core` imports no event loop, no clock, no thread, and nothing that does I/O."""
    found = [
        (line, module)
        for line, module, _ in imports(parse(path))
        if module.partition(".")[0] in IMPURE
    ]

    assert [] == found


@of_source(*(path for path in MODULES if dotted(path) not in MAKE_TASKS))
def test_every_task_belongs_to_a_group(path: Path) -> None:
    """No task is created outside a task group, so that none is left when a system has ended."""
    loose = {"create_task", "ensure_future"}
    field = {ast.Attribute: "attr", ast.Name: "id", ast.alias: "name"}

    found = [
        ast.unparse(node)
        for node in ast.walk(parse(path))
        if getattr(node, field.get(type(node), ""), None) in loose
    ]

    assert [] == found


@of_source(*SCRIPTS)
def test_nobody_sleeps_to_wait(path: Path) -> None:
    """`time.sleep` is for hooks that block on purpose, and these say why on the same line.

    The text is searched, not the syntax tree: tests write programs as strings.
    """
    sleeps = re.compile(r"\btime\.sleep\(|\bfrom time import .*\bsleep\b")
    reason = re.compile(r"# blocks on purpose: \w")

    found = [
        (number, line.strip())
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if sleeps.search(line) and not reason.search(line)
    ]

    assert [] == found


@of_source(*MODULES)
def test_only_required_dependencies_are_imported(path: Path) -> None:
    """What is not the module of an extra runs with anyio, attrs and typing-extensions alone."""
    if dotted(path).startswith(MODULES_OF_EXTRAS):
        return
    always = {"lifecycle", "_lifecycle_command"} | REQUIRED | STDLIB

    found = [
        (line, module)
        for line, module, lazy in imports(parse(path))
        if module.partition(".")[0] not in (always | BACKENDS if lazy else always)
    ]

    assert [] == found


@of_source(*(path for path in MODULES if path.relative_to(SRC).parts[1].split(".")[0] in EDGES))
def test_edges_are_customers_of_the_public_api(path: Path) -> None:
    """An edge imports nothing private, but for what lies inside its own package."""
    edge = ".".join(dotted(path).split(".")[:2])

    found = [
        (line, module)
        for line, module, _ in imports(parse(path))
        if module.startswith("lifecycle.")
        and not f"{module}.".startswith(f"{edge}.")
        and any(part.startswith("_") and part != "__version__" for part in module.split("."))
    ]

    assert [] == found


def test_import_lifecycle_loads_no_extra() -> None:
    """`import lifecycle` costs nobody what he did not ask for."""
    program = "import sys, lifecycle; print(*sorted({n.partition('.')[0] for n in sys.modules}))"

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert set() == EXTRAS & set(ran.stdout.split())
