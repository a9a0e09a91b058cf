"""`lifecycle run` and `lifecycle check`, as they are typed."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.kit import Process, running

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

SHOP = """\
    from lifecycle import Lifetime, Registry, preflight, requires, wants

    shop = Registry("shop")
    shop.preflight(preflight.env("HOME"))

    @shop.component
    def config():
        return "config"

    @shop.component(optional=True)
    async def tracing():
        yield "tracing"

    @shop.component(start_timeout=5, after=[tracing])
    async def database(config=requires(config)):
        print("> database opened")
        yield "database"
        print("> database closed")

    @shop.service
    async def orders(life: Lifetime, database=requires(database), tracing=wants(tracing)):
        life.started()
        print("> ready")
        await life.wait_draining()

    def made():
        return shop

    async def made_later():
        return shop

    def not_made():
        return 3

    def fails():
        raise LookupError("no such shop")
"""


def write(folder: Path, **modules: str) -> None:
    """Write modules into a folder."""
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")


def command(
    folder: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> AbstractContextManager[Process]:
    """Run the command line in a folder."""
    return running(sys.executable, "-m", "lifecycle", *arguments, env=env, cwd=folder)


def check(folder: Path, target: str, env: Mapping[str, str] | None = None) -> tuple[int, list[str]]:
    """Check a target; give the exit code, and what was written."""
    with command(folder, "check", target, env=env) as process:
        return process.wait(), process.lines


# --- run ----------------------------------------------------------------------------------------


def test_run(backend: str, tmp_path: Path) -> None:
    """The registry is the whole program, found from the current directory."""
    write(tmp_path, app=SHOP)
    with command(tmp_path, "run", "app:shop", "--backend", backend) as process:
        process.until("ready")
        process.send(signal.SIGTERM)

        assert process.wait() == 0
    assert process.said == ["database opened", "ready", "database closed"]


def test_the_script_is_the_same(tmp_path: Path) -> None:
    """`lifecycle` does what `python -m lifecycle` does, the current directory included."""
    write(tmp_path, app=SHOP)
    program = "import sys; from lifecycle.cli import main; sys.path.pop(0); sys.exit(main())"
    with running(sys.executable, "-c", program, "run", "app:shop", cwd=tmp_path) as process:
        process.until("ready")
        process.send(signal.SIGINT)

        assert process.wait() == 0


def test_the_code_is_that_of_the_run(tmp_path: Path) -> None:
    """As with `lifecycle.run`."""
    write(
        tmp_path,
        app="""\
            from lifecycle import Registry
            shop = Registry("shop")
            @shop.main
            async def main():
                return 3
        """,
    )
    with command(tmp_path, "run", "app:shop") as process:
        assert process.wait() == 3


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    """And are looked at before the module is imported."""
    write(tmp_path, app="print('> imported')")
    env = {"LIFECYCLE_DRAIN_DELAY": "soon"}
    with command(tmp_path, "run", "app:shop", env=env) as process:
        assert process.wait() == 78
    (line,) = process.lines
    assert line.startswith("lifecycle: LIFECYCLE_DRAIN_DELAY is 'soon', but must be ")


SLOW = """\
    print("> importing", flush=True)
    from pathlib import Path
    import time
    while not Path("go").exists():
        time.sleep(0.01)  # blocks on purpose: an import that takes long
    print("> imported")
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGQUIT", "SIGINT"])
def test_a_signal_during_the_import(backend: str, tmp_path: Path, name: str) -> None:
    """Is not lost: the process ends when the import is over, cleanly, and nothing is started."""
    write(tmp_path, app=textwrap.dedent(SLOW) + textwrap.dedent(SHOP))
    with command(tmp_path, "run", "app:shop", "--backend", backend) as process:
        process.until("importing")
        process.send(signal.Signals[name])
        (tmp_path / "go").touch()

        assert process.wait() == 0
    assert process.said == ["importing", "imported"]
    assert any(line.endswith(f"shutting down: received {name}") for line in process.lines)


# What `lifecycle` imports: the signal comes while that is imported.
EARLY = """\
    import os, signal, sys
    print("> importing", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    print("> imported", flush=True)
    sys.path.remove(os.path.dirname(__file__))
    del sys.modules["attrs"]
    import attrs
"""


@pytest.mark.parametrize("words", [["-m", "lifecycle"], ["-X", "dev", "-mlifecycle"], ["script"]])
def test_a_signal_before_it_is_imported_itself(tmp_path: Path, words: list[str]) -> None:
    """Waits: a process that is the first one of a container has no other chance."""
    write(tmp_path, app=SHOP)
    early = tmp_path / "early"
    early.mkdir()
    write(early, attrs=EARLY)
    words = words if words != ["script"] else [str(Path(sys.executable).with_name("lifecycle"))]
    env = {"PYTHONPATH": f"{early}:{tmp_path}"}
    with running(sys.executable, *words, "run", "app:shop", env=env, cwd=tmp_path) as process:
        assert process.wait() == 0
    assert process.said == ["importing", "imported"]
    assert any(line.endswith("shutting down: received SIGTERM") for line in process.lines)


@pytest.mark.parametrize("arguments", [["check", "app"], ["probe"], []])
def test_only_what_runs_a_service_holds_signals_back(tmp_path: Path, arguments: list[str]) -> None:
    """Anything else is ended by them, as other commands are."""
    write(tmp_path, attrs=EARLY)
    words = ["-m", "lifecycle"] if arguments else ["-c", "import lifecycle", "run"]
    env = {"PYTHONPATH": str(tmp_path)}
    with running(sys.executable, *words, *arguments, env=env, cwd=tmp_path) as process:
        assert process.wait() == -signal.SIGTERM
    assert process.said == ["importing"]


def test_a_signal_that_was_blocked_by_others(tmp_path: Path) -> None:
    """Is let in: who starts the interpreter may block it, so that nothing at all is lost."""
    write(tmp_path, app=SHOP)
    command = (sys.executable, "-m", "lifecycle", "run", "app:shop")
    with running("env", "--block-signal=TERM", *command, cwd=tmp_path) as process:
        process.until("ready")
        process.send(signal.SIGTERM)

        assert process.wait() == 0


def test_two_interrupts_during_the_import(tmp_path: Path) -> None:
    """The second one forces the end, as it always does."""
    counting = """\
        import lifecycle.signals
        taken = []
        for one in lifecycle.signals._active:
            one.on_signal = taken.append
        while len(taken) < 2:
            time.sleep(0.15)  # blocks on purpose: longer than what counts as one interrupt
            print("> taken", len(taken), flush=True)
    """
    write(tmp_path, go="", app="import time\n" + textwrap.dedent(counting) + textwrap.dedent(SHOP))
    with command(tmp_path, "run", "app:shop") as process:
        process.until("> taken 0")
        process.send(signal.SIGINT)
        process.until("> taken 1", times=2)
        process.send(signal.SIGINT)

        assert process.wait() == 130
    assert "database opened" not in process.said


# In Python, where handlers are called, and in C code that never comes back to call them.
HANGS = {
    "python": """\
        import threading
        print("> importing", flush=True)
        threading.Event().wait()
    """,
    "c": """\
        import ctypes
        libc = ctypes.CDLL(None)
        mutex = ctypes.create_string_buffer(128)
        libc.pthread_mutex_init(mutex, None)
        libc.pthread_mutex_lock(mutex)
        print("> importing", flush=True)
        libc.pthread_mutex_lock(mutex)
    """,
}


@pytest.mark.parametrize("where", HANGS)
def test_an_import_that_hangs_is_ended_in_time(tmp_path: Path, where: str) -> None:
    """The grace period begins with the signal, and where it hangs is shown."""
    write(tmp_path, app=HANGS[where])
    env = {"LIFECYCLE_GRACE_PERIOD": "1"}
    with command(tmp_path, "run", "app:shop", env=env) as process:
        process.until("importing")
        process.send(signal.SIGTERM)

        assert process.wait() == 75
    explained = process.output.partition("lifecycle: the grace period of 1 s is over")[2]
    assert "still being imported" in explained
    assert 'app.py", line ' in explained


def test_it_is_ended_in_time_where_nobody_reads_why(tmp_path: Path) -> None:
    """A log driver that hangs, say."""
    unread = """\
        import contextlib, os
        nobody, full = os.pipe()
        os.dup2(full, 2)
        os.set_blocking(2, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(2, b"x")
        os.set_blocking(2, True)
    """
    write(tmp_path, app=textwrap.dedent(unread) + textwrap.dedent(HANGS["python"]))
    env = {"LIFECYCLE_GRACE_PERIOD": "1"}
    with command(tmp_path, "run", "app:shop", env=env) as process:
        process.until("importing")
        process.send(signal.SIGTERM)

        assert process.wait() == 75


@pytest.mark.parametrize("where", HANGS)
def test_the_third_interrupt_ends_an_import(tmp_path: Path, where: str) -> None:
    """At once, with 130."""
    ticking = """\
        import sys, time, threading
        def tick():
            while True:
                time.sleep(0.2)  # blocks on purpose: in a thread, to tell the time
                print("> tick", flush=True)
        threading.Thread(target=tick, daemon=True).start()
    """
    write(tmp_path, app=textwrap.dedent(ticking) + textwrap.dedent(HANGS[where]))
    with command(tmp_path, "run", "app:shop", env={"LIFECYCLE_GRACE_PERIOD": "100"}) as process:
        process.until("importing")
        for _ in range(2):
            process.send(signal.SIGINT)
            process.until("> tick", times=process.said.count("tick") + 3)
        assert process.is_running
        process.send(signal.SIGINT)

        assert process.wait() == 130


def test_an_interrupt_repeated_at_once_is_one(tmp_path: Path) -> None:
    """Also during an import."""
    raising = "import signal\nfor _ in range(5): signal.raise_signal(signal.SIGINT)\n"
    write(tmp_path, app=raising + textwrap.dedent(SHOP))
    with command(tmp_path, "run", "app:shop") as process:
        assert process.wait() == 0
    assert process.said == []


def test_a_function_that_ends_it_is_named(tmp_path: Path) -> None:
    """It is not the import that has to change."""
    write(tmp_path, app="def shop(): raise SystemExit('no DSN was given')")
    code, lines = check(tmp_path, "app:shop")
    assert code == 78
    assert lines == [
        (
            "lifecycle: the call of 'app:shop' raised SystemExit('no DSN was given'), so that "
            "there is nothing to look at"
        )
    ]


@pytest.mark.parametrize("name", ["check", "graph", "manifest"])
def test_there_is_nothing_to_look_at_in_what_ends_itself(tmp_path: Path, name: str) -> None:
    """A step of a pipeline that has seen nothing does not pass, also where the code is 0."""
    write(tmp_path, app="import sys; sys.exit(0)")
    with command(tmp_path, name, "app:shop") as process:
        assert process.wait() == 78
    assert "lifecycle: the import of 'app' raised SystemExit(0)" in process.output


def test_a_module_may_end_the_program(tmp_path: Path) -> None:
    """A SystemExit while it is imported is its own decision."""
    write(tmp_path, app="raise SystemExit(5)")
    with command(tmp_path, "run", "app:shop") as process:
        assert process.wait() == 5


def test_an_event_loop_that_is_not_installed(tmp_path: Path) -> None:
    """What to install is said in words."""
    write(tmp_path, app=textwrap.dedent(SHOP) + "import sys; sys.modules['uvloop'] = None\n")
    with command(tmp_path, "run", "app:shop", "--backend", "uvloop") as process:
        assert process.wait() == 78
    assert process.lines == [
        "lifecycle: uvloop is not installed: pip install 'anyio-lifecycle[uvloop]'"
    ]


# --- check --------------------------------------------------------------------------------------

PLAN = """\
shop: 4 components, nothing was started.

Before the first component, all at once:
  check env HOME

In this order, each as soon as what it needs is ready; the end is the reverse:
  1  config
  2  tracing   optional
  3  database  requires config; after tracing
  4  orders    requires database; wants tracing

Critical path: config -> database -> orders

Start, at worst:     125 s
Shutdown, at worst:  """


@pytest.mark.parametrize("target", ["app:shop", "app", "app:made"])
def test_check(tmp_path: Path, target: str) -> None:
    """The whole plan is shown, with its worst case, and nothing runs."""
    write(tmp_path, app=SHOP)
    env = {"LIFECYCLE_GRACE_PERIOD": "100", "LIFECYCLE_DRAIN_TIMEOUT": "20"}

    code, lines = check(tmp_path, target, env)

    assert code == 0
    assert "\n".join(lines) == f"{PLAN}50 s\nGrace period:        100 s"


def test_check_warns_where_the_grace_period_is_short(tmp_path: Path) -> None:
    """In words: what happens then, and what to do."""
    write(tmp_path, app=SHOP)

    code, lines = check(tmp_path, "app", {"LIFECYCLE_DRAIN_TIMEOUT": "20"})

    assert code == 0
    assert "\n".join(lines) == (
        f"{PLAN}50 s\nGrace period:        25 s\n\n"
        "Warning: if each hook took all of its time, the shutdown would not fit into the grace "
        "period;\nwhat is still running then is cut off (exit code 75). Give a longer "
        "grace_period, and let the\nplatform grant it, or shorter drain_timeout and stop_timeout."
    )


def test_check_of_nothing(tmp_path: Path) -> None:
    """An empty registry is no error."""
    write(tmp_path, app="import lifecycle\nempty = lifecycle.Registry('empty')")

    code, lines = check(tmp_path, "app")

    assert code == 0
    assert lines[0] == "empty: 0 components, nothing was started."


NO_TARGET = "is not of the form 'module:registry'"
AS_IMPORT = "a module is named as `import` does it,"
LOOKED_FOR = "It is looked for in {folder}, and where Python finds modules"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("app:shpo", "'app' has no 'shpo'. Did you mean 'shop'?"),
        ("app:shop.x", "'app.shop' has no 'x'. Did you mean 'shop' or 'billing'?"),
        ("app", "'app' has 2 registries. Say which: 'app:shop' or 'app:billing'"),
        ("json", "'json' has no Registry. If a function makes one, say which: 'json:function'"),
        ("app:config", "'app:config' is an object of type 'Component', and no Registry{or_call}"),
        ("app:made_later", "'app:made_later' is an async function{too_late}"),
        ("app:not_made", "'app:not_made' was called, and returned an object of type 'int'{no_reg}"),
        ("app.py:shop", f"'app.py:shop' {NO_TARGET}: {AS_IMPORT} 'app'"),
        ("./src/app.py", f"'./src/app.py' {NO_TARGET}: {AS_IMPORT} 'src.app'"),
        ("app:a:b", f"'app:a:b' {NO_TARGET}"),
        ("nope.app:shop", f"No module named 'nope'. {LOOKED_FOR}"),
        ("app.sub:a", f"No module named 'app.sub'; 'app' is not a package. {LOOKED_FOR}"),
    ],
)
def test_a_wrong_target_is_said_in_words(tmp_path: Path, target: str, message: str) -> None:
    """One sentence, no traceback, 78."""
    write(tmp_path, app=textwrap.dedent(SHOP) + "billing = Registry('billing')\n")

    code, lines = check(tmp_path, target)

    assert code == 78
    rest = {
        "folder": tmp_path.resolve(),
        "or_call": ", nor a function returning one",
        "too_late": "; a registry is made before there is a loop",
        "no_reg": ", not a Registry",
    }
    assert lines == [f"lifecycle: {message}".format(**rest)]


def test_an_error_in_the_module_is_shown_where_it_is(tmp_path: Path) -> None:
    """The traceback is that of the user's code alone."""
    write(tmp_path, app="import broken", broken="value = 1 / 0")

    code, lines = check(tmp_path, "app")

    assert code == 78
    assert [line for line in lines if not set(line) <= set(" ~^")] == [
        "lifecycle: the import of 'app' raised ZeroDivisionError: division by zero",
        "Traceback (most recent call last):",
        f'  File "{tmp_path.resolve()}/app.py", line 1, in <module>',
        "    import broken",
        f'  File "{tmp_path.resolve()}/broken.py", line 1, in <module>',
        "    value = 1 / 0",
        "ZeroDivisionError: division by zero",
    ]


def test_a_module_that_the_module_misses_is_its_error(tmp_path: Path) -> None:
    """It is the user's import that fails, so it is shown where that stands."""
    write(tmp_path, app="import not_installed")

    code, lines = check(tmp_path, "app")

    assert code == 78
    assert "    import not_installed" in lines
    assert "looked for" not in lines[0]


def test_an_error_of_the_function_is_shown_where_it_is(tmp_path: Path) -> None:
    """Likewise for a function that is to return the registry."""
    write(tmp_path, app=SHOP)

    code, lines = check(tmp_path, "app:fails")

    assert code == 78
    assert lines[0] == "lifecycle: the call of 'app:fails' raised LookupError: no such shop"
    assert '    raise LookupError("no such shop")' in lines
    assert not any("lifecycle/cli" in line for line in lines)


def test_what_is_wrong_with_the_declaration_is_said_in_words(tmp_path: Path) -> None:
    """All of it at once, without a traceback, 78."""
    write(
        tmp_path,
        app="""\
            from lifecycle import Registry
            shop = Registry("shop")
            shop.component(lambda: 1, name="web", requires=["databse"])
            shop.component(lambda: 1, name="database", requires=["nothing"])
        """,
    )

    code, lines = check(tmp_path, "app:shop")

    assert code == 78
    assert lines[0] == (
        "lifecycle: 'web' requires 'databse', and no component has that name. "
        "Did you mean 'database'?"
    )
    assert any("'database' requires 'nothing'" in line for line in lines[1:])
    assert "Traceback (most recent call last):" not in lines


def test_limits_of_no_component_are_found(tmp_path: Path) -> None:
    """A variable for a component that is not there is a typing error."""
    write(tmp_path, app=SHOP)

    code, lines = check(tmp_path, "app:shop", {"LIFECYCLE_DATABSE_START_TIMEOUT": "3"})

    assert code == 78
    assert "LIFECYCLE_DATABSE_START_TIMEOUT" in lines[0]


# --- the command line ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [("--help",), ("run", "--help"), ("check", "--help"), ("manifest", "--help")]
)
def test_help(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """It says what a target is, by an example."""
    with command(tmp_path, *arguments) as process:
        assert process.wait() == 0
    assert "app:shop" in process.output


@pytest.mark.parametrize(
    "arguments", [(), ("fly",), ("run",), ("run", "app", "--backend", "curio")]
)
def test_a_wrong_command_line_is_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """As of other commands."""
    with command(tmp_path, *arguments) as process:
        assert process.wait() == 2


def test_the_command_line_loads_no_extra() -> None:
    """Nor anything else that is slow to import and not needed."""
    program = (
        "import sys, lifecycle.cli; print(*sorted({n.partition('.')[0] for n in sys.modules}))"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    slow = {"trio", "uvloop", "uvicorn", "fastapi", "starlette", "asyncio", "email", "unittest"}
    assert set() == slow & set(ran.stdout.split())
