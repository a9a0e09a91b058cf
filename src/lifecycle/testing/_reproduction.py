"""Writing down, as a test, how something was found."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
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
    def of_caller(cls, named: str | None, given: Iterable[str]) -> Source:
        """Read the call of `verify` that is being made.

        Args:
            named: what stands for the registry, as ``module:name``; None: what the call says.
            given: which of body and settings it was given.

        """
        frame = inspect.currentframe()
        while frame is not None and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
            frame = frame.f_back
        call = None if frame is None else _call_in(frame)
        arguments = {} if call is None else _arguments(call)
        # What was given and cannot be read is missed in a test, by its name; it is not left out,
        # since the test would find nothing then.
        more = {name: _text(arguments[name]) if name in arguments else name for name in given}
        read = [node for name, node in arguments.items() if name in more]
        if named is None:
            module, registry = None, "registry"
            if "registry" in arguments:
                registry = _text(arguments["registry"])
                read.insert(0, arguments["registry"])
            imports: list[str] = []
        else:
            module, _, registry = named.partition(":")
            imports = [f"from {module} import {registry.partition('.')[0]}"]
        if frame is not None:
            imports += _imports(read, frame, module)
        written = tuple(f"{name}={text}" for name, text in more.items())
        return cls(registry, tuple(dict.fromkeys(imports)), written)


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


def _arguments(call: ast.Call) -> dict[str, ast.expr]:
    """What the call is given, by parameter, as far as that can be read."""
    found: dict[str, ast.expr] = {}
    for name, one in zip(("registry", "body", "settings"), call.args):  # noqa: B905  those there are
        if isinstance(one, ast.Starred):
            break
        found[name] = one
    return {**found, **{one.arg: one.value for one in call.keywords if one.arg is not None}}


def _imports(read: Sequence[ast.expr], frame: FrameType, source: str | None) -> list[str]:
    """Import what is in the expressions, from where the caller has it.

    Args:
        read: the expressions.
        frame: the caller's.
        source: the module that has the registry, for a test that stands anywhere; None: it stands
            beside the caller, who has what is his own.

    """
    nodes = [node for one in read for node in ast.walk(one)]
    names = dict.fromkeys(node.id for node in nodes if isinstance(node, ast.Name))
    found: list[str] = []
    for name in names:
        value = frame.f_globals.get(name)
        if isinstance(value, ModuleType):
            known = value.__name__
            found.append(f"import {name}" if name == known else f"import {known} as {name}")
            continue
        home = None if value is None else _home(name, value, frame.f_globals, source)
        if home is not None:
            found.append(f"from {home} import {name}")
    return found


def _home(name: str, value: Any, here: dict[str, Any], source: str | None) -> str | None:
    """The module that has it; the one that calls only if the test stands elsewhere."""
    have = [
        module_name
        for module_name, module in list(sys.modules.items())
        if getattr(module, "__dict__", {}).get(name) is value and not module_name.startswith("__")
    ]
    elsewhere = [one for one in have if sys.modules[one].__dict__ is not here]
    if source is not None:
        if source in have:
            return source
        elsewhere = elsewhere or have
    # Whoever has imported it has it, too.
    package = str(getattr(value, "__module__", "")).partition(".")[0]
    own = [one for one in elsewhere if one.partition(".")[0] == package]
    return next(iter(own or elsewhere), None)


def _text(node: ast.expr) -> str:
    return ast.unparse(node)
