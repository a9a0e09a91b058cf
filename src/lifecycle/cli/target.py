"""The target of a command: the registry that it is about, and where that is declared."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import inspect
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import Registry
from lifecycle.errors import DefinitionError, one_line

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType, TracebackType

    from lifecycle import Plan

_OURS = (str(Path(__file__).parent), str(Path(importlib.__file__).parent), "<frozen importlib")


def load(target: str) -> Registry:
    """Import the module of a target, and find its registry.

    The current directory can be imported from, as with ``python -m``. A ``SystemExit`` of the
    module leaves this as it is.

    Args:
        target: ``module:registry``, or the module alone if it has one registry only. What is named
            may also be a function that returns a registry.

    Raises:
        DefinitionError: there is none; the cause is what the user's code raised.

    """
    return _found(target, _import(_module_of(target)))


def load_to_look(target: str) -> Registry:
    """Do the same for who runs nothing, and is no step that passes where it has seen nothing.

    Raises:
        DefinitionError: there is none, or the module has ended itself.

    """
    name = _module_of(target)
    runs_it = ": what runs it goes under `if __name__ == '__main__':`"
    with _not_ending(f"the import of {name!r}", runs_it):
        module = _import(name)
    with _not_ending(f"the call of {target!r}"):
        return _found(target, module)


@contextlib.contextmanager
def _not_ending(what: str, advice: str = "") -> Generator[None]:
    try:
        yield
    except SystemExit as ended:
        message = f"{what} raised SystemExit({ended.code!r}), so that there is nothing to look at"
        raise DefinitionError(message + advice) from None


def has_main(plan: Plan) -> bool:
    """Whether it has a main, and ends with that."""
    return any(node.kind.value == "main" for node in plan.components)


def in_words(error: DefinitionError) -> str:
    """Say what is wrong to a person, with the traceback of his own code if that raised it."""
    lines = [f"lifecycle: {error}", *(f"  {note}" for note in getattr(error, "__notes__", ()))]
    cause = error.__cause__
    if cause is not None:
        theirs = _without_ours(cause.__traceback__)
        text = "".join(traceback.format_exception(type(cause), cause, theirs))
        lines += ["", text.rstrip()]
    return "\n".join(lines) + "\n"


def _module_of(target: str) -> str:
    name, colon, attribute = target.partition(":")
    parts = [*name.split("."), *(attribute.split(".") if colon else ())]
    if name.endswith(".py") or not all(part.isidentifier() for part in parts):
        raise DefinitionError(_not_a_target(target, name))
    return name


def _found(target: str, module: ModuleType) -> Registry:
    _, colon, attribute = target.partition(":")
    return _registry(target, _get(module, attribute)) if colon else _only_registry(module)


def _import(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            message = f"{error}. It is looked for in {here}, and where Python finds modules"
            raise DefinitionError(message) from None
        raise _failed(f"the import of {name!r}", error) from error
    except Exception as error:
        raise _failed(f"the import of {name!r}", error) from error


def _get(module: ModuleType, attribute: str) -> Any:
    found: Any = module
    path = module.__name__
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            message = f"{path!r} has no {name!r}."
            like = difflib.get_close_matches(name, dir(found)) or list(_registries(module))
            if like:
                message += f" Did you mean {' or '.join(map(repr, like))}?"
            raise DefinitionError(message) from None
        path = f"{path}.{name}"
    return found


def _registry(target: str, found: Any) -> Registry:
    if isinstance(found, Registry):
        return found
    if not callable(found):
        message = f"{target!r} is {_a(found)}, and no Registry, nor a function returning one"
        raise DefinitionError(message)
    try:
        made = found()
    except Exception as error:
        raise _failed(f"the call of {target!r}", error) from error
    if isinstance(made, Registry):
        return made
    if inspect.iscoroutine(made):
        made.close()
        message = f"{target!r} is an async function; a registry is made before there is a loop"
        raise DefinitionError(message)
    message = f"{target!r} was called, and returned {_a(made)}, not a Registry"
    raise DefinitionError(message)


def _only_registry(module: ModuleType) -> Registry:
    found = _registries(module)
    if len({id(registry) for registry in found.values()}) == 1:
        return next(iter(found.values()))
    name = module.__name__
    if not found:
        message = f"{name!r} has no Registry. If a function makes one, say which: '{name}:function'"
        raise DefinitionError(message)
    targets = " or ".join(f"'{name}:{attribute}'" for attribute in found)
    message = f"{name!r} has {len(found)} registries. Say which: {targets}"
    raise DefinitionError(message)


def _registries(module: ModuleType) -> dict[str, Registry]:
    return {name: value for name, value in vars(module).items() if isinstance(value, Registry)}


def _not_a_target(target: str, name: str) -> str:
    message = f"{target!r} is not of the form 'module:registry'"
    path = Path(name)
    if path.suffix == ".py" or len(path.parts) > 1:
        path = path.with_suffix("") if path.suffix == ".py" else path
        module = ".".join(part for part in path.parts if part.isidentifier())
        message += f": a module is named as `import` does it, {module!r}"
    return message


def _failed(what: str, error: Exception) -> DefinitionError:
    return DefinitionError(f"{what} raised {one_line(error)}")


def _a(value: object) -> str:
    return f"an object of type {type(value).__name__!r}"


def _without_ours(frames: TracebackType | None) -> TracebackType | None:
    """Drop the frames with which a traceback begins, as far as they are not the user's."""
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_OURS):
        frames = frames.tb_next
    return frames
