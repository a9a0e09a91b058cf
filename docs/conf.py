"""How Sphinx builds this documentation."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import lifecycle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docutils.nodes import Element, reference
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "lifecycle"
author = "The lifecycle authors"
version = release = importlib.metadata.version("anyio-lifecycle")

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["build"]
html_theme = "furo"
html_title = f"lifecycle {release}"
default_role = "py:obj"

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"

# A reference to anything of our own has to resolve. Names of others (there is no inventory to look
# them up in, so that the build needs no network), type variables and private modules need not.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!lifecycle\.).*"),
    (r"py:.*", r"(.*\.)?[A-Z][A-Za-z]?(_co|_contra)?"),
    (r"py:.*", r".*\._.*"),
]

PUBLIC = (
    "lifecycle",
    "lifecycle.errors",
    "lifecycle.events",
    "lifecycle.preflight",
    "lifecycle.probes",
    "lifecycle.asgi",
    "lifecycle.signals",
    "lifecycle.testing",
    "lifecycle.integrations",
)
GENERATED = Path(__file__).parent / "reference" / "generated"


def names(module: ModuleType) -> set[str]:
    """Give what a module is there for: its `__all__`, or else its own public names."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return set(listed)
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    }


def public_modules() -> Iterator[ModuleType]:
    """Import what has a page of its own, as far as it is there; the rest is `lifecycle`'s."""
    for name in PUBLIC:
        if importlib.util.find_spec(name):
            module = importlib.import_module(name)
            yield module
            if name == "lifecycle.integrations":
                for found in pkgutil.iter_modules(module.__path__, f"{name}."):
                    if not found.name.rpartition(".")[2].startswith("_"):
                        yield importlib.import_module(found.name)


def write_reference(_app: Sphinx) -> None:
    """Write one page for each public module."""
    GENERATED.mkdir(exist_ok=True)
    pages = {f"{module.__name__}.md": page(module) for module in public_modules()}
    for stale in GENERATED.glob("*.md"):
        if stale.name not in pages:
            stale.unlink()
    for name, text in pages.items():
        path = GENERATED / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def page(module: ModuleType) -> str:
    """Write the page of one module."""
    lines = [f"# `{module.__name__}`", "", "```{eval-rst}", f".. automodule:: {module.__name__}"]
    if module is lifecycle:
        # Modules among its names have pages of their own.
        values = ((name, getattr(lifecycle, name)) for name in sorted(names(lifecycle)))
        members = [name for name, value in values if not isinstance(value, ModuleType)]
        lines += [f"   :members: {', '.join(members)}"] if members else ["   :no-members:"]
        lines.append("   :imported-members:")
    return "\n".join([*lines, "```", ""])


def resolve_home(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: Element
) -> reference | None:
    """Link what is referred to by the module it is written in to where users import it from."""
    target = node.get("reftarget", "")
    for name in names(lifecycle):
        value = getattr(lifecycle, name)
        home = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"
        if f"{target}.".startswith(f"{home}."):
            domain = env.domains.python_domain
            public = f"lifecycle.{name}{target.removeprefix(home)}"
            docname = node.get("refdoc", "")
            return domain.resolve_xref(
                env, docname, app.builder, node["reftype"], public, node, content
            )
    return None


def setup(app: Sphinx) -> None:
    """Connect the two functions above into the build."""
    app.connect("builder-inited", write_reference)
    app.connect("missing-reference", resolve_home)
