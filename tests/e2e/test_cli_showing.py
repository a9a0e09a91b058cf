"""`lifecycle graph` and `lifecycle timeline`, as they are typed; and the page about them."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "inspect.md").read_text(encoding="utf-8")
ODD = """\
    from lifecycle import Registry

    shop = Registry('the "shop"')
    tracing = shop.component(name="tracing", optional=True)(lambda: 1)
    config = shop.component(name='für "config"', wants=[tracing], after=[tracing])(lambda: 1)
"""
LIFE = """\
    import anyio
    from lifecycle import Lifetime, Registry, requires, wants

    shop = Registry("shop")

    @shop.component
    async def quick():
        yield 1

    @shop.component
    async def slow():
        await anyio.sleep(0.2)
        yield 2
        await anyio.sleep(0.2)

    @shop.component(requires=[quick, slow])
    async def web():
        await anyio.sleep(0.1)
        yield 3

    @web.drain
    async def _(_):
        await anyio.sleep(0.1)

    fails = Registry("fails")

    @fails.component
    async def cache():
        yield 1

    @fails.component(requires=[cache])
    async def broken():
        raise LookupError("no such table")

    nightly = Registry("nightly")

    @nightly.main
    async def bill():
        await anyio.sleep(0.1)
        print("> billed")
"""


def command(
    folder: Path, source: str, *arguments: str, delay: float = 0
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder that has this module."""
    (folder / "app.py").write_text(textwrap.dedent(source), encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "lifecycle", *arguments],
        cwd=folder,
        env={**os.environ, "LIFECYCLE_DRAIN_DELAY": str(delay)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command of the page, and what it says."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SHOP_PORT", "0")
    monkeypatch.setenv("SHOP_DATA", str(tmp_path))
    blocks = "".join(re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
    shown = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", blocks, re.MULTILINE)
    (enter, nothing), *others = shown
    assert (nothing, 4) == ("", len(others))

    for typed, expected in others:
        ran = subprocess.run(
            ["/bin/sh", "-c", f"{enter} && {typed}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        is_so = doctest.OutputChecker().check_output(expected, ran.stdout, doctest.ELLIPSIS)
        assert is_so, f"$ {typed}\nthe page shows\n{expected}\nand it says\n{ran.stdout}"


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (
            "mermaid",
            r"""
            ---
            title: "the \"shop\""
            ---
            flowchart LR
                0["tracing"]:::optional
                1["für #quot;config#quot;"]
                0 -.-> 1
                linkStyle 0 stroke-width:4px
                classDef optional stroke-dasharray:4
            """,
        ),
        (
            "graphviz",
            r"""
            digraph "the \"shop\"" {
                rankdir=LR
                node [shape=box]
                "tracing" [style=dashed]
                "für \"config\""
                "tracing" -> "für \"config\"" [style=dashed, penwidth=3]
            }
            """,
        ),
    ],
)
def test_a_graph(tmp_path: Path, form: str, expected: str) -> None:
    """What is optional, what is only wanted, names with quotes; one edge for each pair."""
    ran = command(tmp_path, ODD, "graph", "app:shop", "--format", form)

    assert (0, "") == (ran.returncode, ran.stderr)
    assert textwrap.dedent(expected).lstrip() == ran.stdout


def test_a_timeline(tmp_path: Path) -> None:
    """The chain that was waited for; the system ends by itself, and without a drain delay."""
    ran = command(tmp_path, LIFE, "timeline", "app:shop", delay=15)

    assert ran.returncode == 0
    assert "delaying" not in ran.stderr
    assert "draining" in ran.stderr
    assert "companion timeline started" in ran.stderr
    start, end = ran.stdout.split("The end of shop took ")
    assert re.search(r"^Waited for: slow [\d.]+ s -> web [\d.]+ s$", start, re.MULTILINE)
    begins, lengths = {}, {}
    for line in start.splitlines():
        if "#" in line:
            name = line.split()[0]
            begins[name], lengths[name] = line.index("#"), line.count("#")
    assert ["quick", "slow", "web"] == sorted(begins)
    assert begins["web"] >= begins["slow"] + lengths["slow"] - 1  # it began when that had ended
    hooks = re.findall(r"^  (\w+) .* (drain|stop)$", end, re.MULTILINE)
    assert ("web", "drain") == hooks[0]
    first, *others = (name for name, hook in hooks if hook == "stop")  # drains of others may show
    assert "web" == first
    assert ["quick", "slow"] == sorted(others)


def test_the_timeline_of_a_start_that_fails(tmp_path: Path) -> None:
    """It is shown as far as it came, with the type of what went wrong; the code is the run's."""
    ran = command(tmp_path, LIFE, "timeline", "app:fails")

    assert ran.returncode == 69
    assert re.search(r"^  broken +#+ +\S+ s  failed: LookupError$", ran.stdout, re.MULTILINE)
    assert re.search(r"^  cache .* stop$", ran.stdout, re.MULTILINE)
    assert "no such table" in ran.stderr


def test_the_timeline_of_a_main(tmp_path: Path) -> None:
    """It ends by itself, when its work is done."""
    ran = command(tmp_path, LIFE, "timeline", "app:nightly")

    assert ran.returncode == 0
    assert "> billed" in ran.stdout
    assert "The start of nightly took " in ran.stdout
