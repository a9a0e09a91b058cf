"""What a server requires because the routes of its app are provided with it.

A server that exists when the plan is made says so by itself. One that is made by a function comes
too late for that: when it starts, it can only see that what its routes need is there before it, and
stays until after it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from lifecycle.errors import InvalidComponentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle import Component, Lifetime, Plan
    from lifecycle.asgi import ASGIApp


def provided(app: ASGIApp) -> tuple[Component[Any], ...]:
    """Find what the routes of an app are provided with, in the order of the routes."""
    # Where nobody has imported this there is no `provide`, and perhaps no FastAPI.
    fastapi: Any = sys.modules.get("lifecycle.integrations.fastapi")
    components: tuple[Component[Any], ...] = () if fastapi is None else fastapi.provided_by(app)
    return components


def require_provided(app: ASGIApp, server: Lifetime[Any]) -> None:
    """See that a server depends on all that the routes of its app are provided with.

    Raises:
        InvalidComponentError: it does not; the message says how to declare it.

    """
    components = provided(app)
    if not components:
        return
    plan = server.system.plan
    unknown = [one.name for one in components if one not in plan.index_of]
    if unknown:
        raise InvalidComponentError(
            server.name,
            f"serves routes that are provided with what {plan.name!r} does not have: "
            f"{_list(unknown)}. include() the registry that declares it",
        )
    before = _dependencies(plan, server.name)
    needed = (plan.components[plan.index_of[one]] for one in components)
    missing = [node.name for node in needed if node.index not in before]
    if missing:
        raise InvalidComponentError(
            server.name,
            f"does not depend on {_list(missing)}, with which the routes of its app are provided: "
            "they could be called before that is ready, or after it has been closed. Declare it "
            "with `requires=provided_by(app)`; or give the function that makes it a parameter with "
            "the default `requires_all(provided_by(app))`",
        )


def _dependencies(plan: Plan, name: str) -> set[int]:
    """Find the indices of all that a component depends on, directly or not."""
    todo = [node.index for node in plan.components if node.name == name]
    found: set[int] = set()
    while todo:
        for index in plan.components[todo.pop()].dependencies:
            if index not in found:
                found.add(index)
                todo.append(index)
    return found


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
