"""Writing down, as a test, how something was found."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import sys
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from types import FrameType

    from lifecycle.testing._cases import Case

_PACKAGE = "lifecycle.testing"


@attrs.frozen
class Source:
    """How the caller has written what was verified."""

    registry: str = "registry"
    imports: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    """Further arguments of the call, body and settings, as they were written."""

    @classmethod
    def named(cls, source: str) -> Source:
        """Take it from ``module:name``."""
        module, _, name = source.partition(":")
        return cls(name, (f"from {module} import {name.partition('.')[0]}",))

    @classmethod
    def of_caller(cls) -> Source:
        """Read the call of `verify` that is being made."""
        frame = inspect.currentframe()
        while frame is not None and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
            frame = frame.f_back
        call = None if frame is None else _call_in(frame)
        if frame is None or call is None or not call.args:
            return cls()
        registry, *others = call.args
        more = [f"{name}={_text(one)}" for name, one in zip(("body", "settings"), others)]  # noqa: B905
        more += [
            f"{keyword.arg}={_text(keyword.value)}"
            for keyword in call.keywords
            if keyword.arg in ("body", "settings")
        ]
        return cls(_text(registry), _imports(registry, frame), tuple(more))


def reproduction(
    source: Source, what: str, case: Case, *, keeps: tuple[str, ...], on: tuple[str, int | None]
) -> str:
    """Write a test that finds the same.

    Args:
        source: how the registry is written.
        what: what was found.
        case: what was done.
        keeps: the components that it takes, by name; none: all.
        on: the event loop, and the seed of the interleaving.

    """
    backend, seed = on
    registry = source.registry
    if keeps:
        registry += f".only({', '.join(map(repr, keeps))})"
    arguments = [registry, *source.more]
    imports = ["from lifecycle import testing"]
    if case.fault is not None:
        arguments.append(f"faults=[{case.fault()!r}]")
        imports.append("from lifecycle.testing import faults")
    if case.shut_down_at is not None:
        arguments.append(f"shut_down_at={case.shut_down_at!r}")
    if backend != "asyncio":
        arguments.append(f"backend={backend!r}")
    if seed is not None:
        arguments.append(f"seed={seed}")
    name = re.sub(r"\W+", "_", what.lower()).strip("_")[:60].rstrip("_")
    lines = [
        *imports,
        *source.imports,
        "",
        "",
        f"def test_{name}() -> None:",
        f"    life = testing.live({', '.join(arguments)})",
        "    assert [] == life.broken_promises",
    ]
    return "\n".join(lines)


def _call_in(frame: FrameType) -> ast.Call | None:
    """The call of `verify` in the line that is being run."""
    lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError:
        return None
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] == "verify"
        and node.lineno <= frame.f_lineno <= (node.end_lineno or node.lineno)
    ]
    return calls[-1] if calls else None


def _imports(registry: ast.expr, frame: FrameType) -> tuple[str, ...]:
    """Import what the expression begins with, from where the caller has it."""
    names = dict.fromkeys(node.id for node in ast.walk(registry) if isinstance(node, ast.Name))
    found: list[str] = []
    for name in names:
        value = frame.f_globals.get(name)
        home = None if value is None else _home(name, value, frame.f_globals)
        if home is not None:
            found.append(f"from {home} import {name}")
    return tuple(found)


def _home(name: str, value: Any, here: dict[str, Any]) -> str | None:
    """The module that has it, other than the one that calls."""
    for module_name, module in list(sys.modules.items()):
        known = getattr(module, "__dict__", {})
        if known is not here and known.get(name) is value and not module_name.startswith("__"):
            return module_name
    return None


def _text(node: ast.expr) -> str:
    return ast.unparse(node)
