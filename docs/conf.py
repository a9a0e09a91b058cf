"""How Sphinx builds this documentation."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
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

sys.path.insert(0, str(Path(__file__).parent))  # for the extension _generate, beside this file

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "_generate"]
exclude_patterns = ["build"]
html_theme = "furo"
html_title = f"lifecycle {release}"
default_role = "py:obj"

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "undoc-members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"

# A reference to anything of our own has to resolve. Names of others (there is no inventory to look
# them up in, so that the build needs no network), type variables and private modules need not; nor
# do the classes behind `Component` and `Registry`, which nobody imports.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!lifecycle\.).*"),
    (r"py:.*", r"(.*\.)?[A-Z][A-Za-z]?(_co|_contra)?"),
    (r"py:.*", r".*\._.*"),
    (r"py:.*", r"lifecycle\.(component|decorators|verbs)\..*"),
]

PUBLIC = (
    "lifecycle",
    "lifecycle.options",
    "lifecycle.settings",
    "lifecycle.states",
    "lifecycle.report",
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
    # Modules among the names of `lifecycle` have pages of their own, and what it has is shown once.
    own = {
        name for name in names(lifecycle) if not isinstance(getattr(lifecycle, name), ModuleType)
    }
    if module is lifecycle:
        lines += [f"   :members: {', '.join(sorted(own))}", "   :imported-members:"]
        # What `Registry` declares with is inherited.
        lines.append("   :inherited-members: Generic, int, str")
    elif shown_there := own & names(module):
        lines.append(f"   :exclude-members: {', '.join(sorted(shown_there))}")
    return "\n".join([*lines, "```", ""])


def resolve_home(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: Element
) -> reference | None:
    """Link what is referred to by the module it is written in to where users import it from."""
    target = node.get("reftarget", "")
    for module in public_modules():
        for name in names(module):
            value = getattr(module, name)
            home = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"
            public = f"{module.__name__}.{name}"
            if f"{target}.".startswith(f"{home}.") and home != public:
                public += target.removeprefix(home)
                domain = env.domains.python_domain
                docname = node.get("refdoc", "")
                return domain.resolve_xref(
                    env, docname, app.builder, node["reftype"], public, node, content
                )
    return None


def setup(app: Sphinx) -> None:
    """Connect the two functions above into the build."""
    app.connect("builder-inited", write_reference)
    app.connect("missing-reference", resolve_home)
