"""What is loaded when: little by who declares, all of it before a system begins, nothing after."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap

import pytest

import lifecycle
import lifecycle.states
from lifecycle import errors, events

ROOM = 60
"""How long a program may take on a busy machine, in seconds; none takes more than one or two."""


def run(source: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run a program in a new interpreter."""
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        input=stdin,
        capture_output=True,
        timeout=ROOM,
        check=False,
    )
    return subprocess.CompletedProcess(
        ran.args, ran.returncode, ran.stdout.decode(), ran.stderr.decode()
    )


def test_who_declares_loads_no_engine_and_no_settings() -> None:
    """A module that declares, in all ways that there are, loads nothing of what runs it."""
    ran = run("""
        import sys, lifecycle
        from lifecycle import Component, Lifetime, Registry, requires, requires_all, wants

        parts, shop = Registry("parts"), Registry("shop")
        number = parts.value(1, name="number")

        @shop.component(start_timeout=5, optional=True)
        def config(number: int = requires(number)) -> int:
            return number

        @config.check
        def fine(value: int) -> bool:
            return True

        @shop.build(retry=3, requires=["config"])
        def pool(*, config: int | None = wants(config)) -> int:
            return 1

        @shop.service
        async def serving(life: Lifetime, _: list[int] = requires_all([number])) -> None:
            life.started()

        @shop.main
        async def job() -> None: ...

        shop.add(open, name="file")
        shop.preflight(lambda: None)
        shop.include(parts)
        changed = shop.override(number.to(2)).without(pool).only(serving)
        print(*(name for name in sys.modules if name.partition(".")[0] == "lifecycle"))
        """)

    loaded = set(ran.stdout.split())
    engine = {name for name in loaded if name.startswith("lifecycle._engine.")}
    assert "" == ran.stderr
    assert {"lifecycle._engine.lifetime", "lifecycle._engine.streams"} == engine
    assert set() == loaded & {
        "lifecycle._core.machine",
        "lifecycle._core.plan",
        "lifecycle._planning.planner",
        "lifecycle.embedded",
        "lifecycle.errors",
        "lifecycle.events",
        "lifecycle.program",
        "lifecycle.report",
        "lifecycle.settings",
        "lifecycle.states",
    }


def test_a_program_loads_what_starts_others_only_where_it_does() -> None:
    """`lifecycle.run` comes when it is asked for, child processes with what starts one.

    They are a tenth of what a program loads, and most start none.
    """
    ran = run("""
        import sys, lifecycle
        def there(): return sorted({"lifecycle.program", "lifecycle.processes"} & set(sys.modules))
        print(there())
        from lifecycle import run
        print(run.__module__, there())
        lifecycle.preflight.env("HOME")
        print(there())
        """)

    assert [
        "[]",
        "lifecycle.program ['lifecycle.program']",
        "['lifecycle.processes', 'lifecycle.program']",
    ] == ran.stdout.splitlines()


def test_every_name_is_found_listed_and_one_and_the_same() -> None:
    """What is loaded late is there for `dir`, `import *` and those who know where it lies."""
    ran = run("""
        import lifecycle
        listed = set(dir(lifecycle))
        before = set(globals())
        from lifecycle import *
        print(sorted(set(globals()) - before - {"before"}) == sorted(lifecycle.__all__))
        print(set(lifecycle.__all__) <= listed)
        print(all(globals()[name] is getattr(lifecycle, name) for name in lifecycle.__all__))
        """)

    assert ("", ["True"] * 3) == (ran.stderr, ran.stdout.split())
    assert lifecycle.Outcome is lifecycle.states.Outcome
    assert lifecycle.errors is errors
    assert lifecycle.events is events


def test_a_misspelt_name_is_an_attribute_error() -> None:
    """What is not there is told as of any other module."""
    with pytest.raises(AttributeError, match="module 'lifecycle' has no attribute 'Regsitry'"):
        _ = lifecycle.Regsitry  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", ["errors", "events", "report", "settings", "states", "options"])
def test_a_public_module_is_an_attribute(name: str) -> None:
    """After `import lifecycle` alone its public modules are there, by name."""
    ran = run(f"import lifecycle; print(lifecycle.{name}.__name__)")

    assert ("", f"lifecycle.{name}\n") == (ran.stderr, ran.stdout)


def test_what_was_pickled_is_read_where_nothing_is_loaded() -> None:
    """Settings, reports, errors and events find their classes by themselves."""
    things = (
        lifecycle.Settings(grace_period=7),
        lifecycle.Report(lifecycle.Outcome.CLEAN, 0, "over"),
        errors.StartError("database", "no such file"),
        events.ComponentStarting(at=1.0, component="database"),
        lifecycle.Retry(2),
    )

    ran = run(
        """
        import pickle, sys
        for thing in pickle.loads(sys.stdin.buffer.read()):
            print(repr(thing))
        """,
        # A `mappingproxy`, which the settings have, cannot be pickled.
        pickle.dumps(things[1:]),
    )

    assert [repr(thing) for thing in things[1:]] == ran.stdout.splitlines()
    assert "" == ran.stderr


# --- a run ----------------------------------------------------------------------------------------

# Everything that is asked for between the call of `run` and its end is written down at once, since
# some of these programs end by force.
HEADER = """
import os, signal, sys, threading
import anyio
import lifecycle
from lifecycle import Lifetime, Registry, Retry, Settings, requires, run

class Witness:
    def find_spec(self, name, path=None, target=None):
        os.write(1, f"loads {name}\\n".encode())

def told(event):
    os.write(1, f"told {event}\\n".encode())

def watched(**settings):
    numbers = Settings(**settings)
    sys.meta_path.insert(0, Witness())
    os.write(1, b"begins\\n")
    run(shop, numbers, observers=[told])

def send(number):
    os.kill(os.getpid(), number)

shop = Registry("shop")
"""
ENDS = """
@shop.service
async def ending(life: Lifetime):
    life.started()
    async for status in life.system.changes():
        if status.ready:
            send(signal.SIGTERM)
            break
    await life.wait_draining()
"""

CLEAN = f"""{ENDS}
@shop.component
def database():
    yield 1

@database.check
def alive(value): ...

@shop.build(stop=lambda value: None, start=lambda value: None)
def pool(database=requires(database)):
    return object()

@shop.service
async def serving(life: Lifetime, pool=requires(pool)):
    life.started()
    with life.hold("work"):
        life.system.status().to_json()
        await life.system.check()
    life.extend(1)
    life.unavailable("for a while")
    life.available()
    await life.system.ready(database)
    async for _ in life.until_draining(ticks()): ...

async def ticks():
    yield 1
    await anyio.sleep_forever()

@shop.preflight
async def fine(): ...

other = Registry("other")
one = other.value(1, name="one")
one.map(str)

@shop.component
async def nested():
    async with lifecycle.running(other) as system:
        assert system[one] == 1
        yield
"""
HANGS = f"""{ENDS}
@shop.component(stop_timeout=0.1)
async def jobs():
    yield
    while True:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            pass
"""
STUCK = f"""{ENDS}
@shop.component(stop_timeout=0.1)
def jobs():
    yield
    threading.Event().wait()
"""
BLOCKED = f"""{ENDS}
@shop.component
async def jobs():
    yield
    threading.Event().wait()
"""
FAILS = """
@shop.component
def config():
    yield 1
    raise KeyError("twice")

@shop.component(retry=Retry(1, delay=0))
async def database(config=requires(config)):
    raise OSError("no such host")

@shop.component
async def pool(database=requires(database)): ...
"""
SLOW = """
@shop.component(start_timeout=0.1)
async def database():
    await anyio.sleep_forever()

@shop.component
async def pool(database=requires(database)): ...
"""
CRASHES = """
@shop.component
async def jobs():
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        yield

async def work():
    await anyio.sleep(0)
    raise OSError("connection lost")
"""
CUT = f"""{ENDS}
@shop.service(drain_timeout=0.1)
async def jobs(life: Lifetime):
    life.started()
    with life.hold("a report"):
        await anyio.sleep_forever()
"""
FORCED = f"""{ENDS}
@shop.component
async def jobs():
    yield
    send(signal.SIGINT)
    await anyio.sleep(0.5)  # two that come within 0.1 s are one
    send(signal.SIGINT)
    await anyio.sleep_forever()
"""
AT_ONCE = f"""{FORCED.rstrip().removesuffix("await anyio.sleep_forever()")}
    with anyio.CancelScope(shield=True):
        await anyio.sleep(0.5)
        send(signal.SIGINT)
        await anyio.sleep_forever()
"""
REFUSED = """
@shop.component
def database(life, url): ...
"""
UNFIT = """
@shop.preflight
def writable():
    raise OSError("read-only file system")
"""
PROBED = f"""{ENDS.replace("if status.ready:", "if status.ready and await looked_at():")}
import logging, re, socket
import anyio.to_thread

ports = []

class Ports(logging.Handler):
    def emit(self, record):
        ports.extend(map(int, re.findall(r"answered at 127.0.0.1:(\\d+)", record.getMessage())))

logging.getLogger("lifecycle").addHandler(Ports())
logging.getLogger("lifecycle").setLevel(logging.INFO)

async def looked_at():
    for path in (b"/health", b"/ready", b"/startup", b"/"):
        os.write(1, await anyio.to_thread.run_sync(get, path) + b"\\n")
    return True

def get(path):
    with socket.create_connection((b"127.0.0.1", ports[0])) as connection:
        connection.sendall(b"GET " + path + b" HTTP/1.1\\r\\nHost: localhost\\r\\n")
        connection.sendall(b"Accept: text/html\\r\\nConnection: close\\r\\n\\r\\n")
        with connection.makefile("rb") as answer:
            return b"answered " + answer.read().split(b"\\r\\n")[0]
"""


@pytest.mark.parametrize(
    ("parts", "settings", "code", "said"),
    [
        pytest.param(CLEAN, "", 0, "", id="clean"),
        pytest.param(REFUSED, "", 78, "'database' has a parameter 'url'", id="refused"),
        pytest.param(UNFIT, "", 69, "read-only file system", id="unfit"),
        pytest.param(FAILS, "", 69, "no such host", id="start-failed"),
        pytest.param(SLOW, "", 69, "was not ready after 0.1 s", id="start-timed-out"),
        pytest.param(CRASHES, "", 70, "connection lost", id="crashed"),
        pytest.param(CUT, "", 75, "1 piece of work in flight", id="work-cut-off"),
        pytest.param(HANGS, "", 75, "was abandoned", id="abandoned"),
        pytest.param(STUCK, "", 75, "was abandoned", id="abandoned-thread"),
        pytest.param(BLOCKED, "grace_period=4", 75, "the event loop is blocked", id="blocked"),
        pytest.param(FORCED, "", 130, "forced", id="forced"),
        pytest.param(AT_ONCE, "", 130, "", id="ended-at-once"),
    ],
)
def test_nothing_is_loaded_once_a_run_has_begun(
    parts: str, settings: str, code: int, said: str
) -> None:
    """However it ends, nothing of ours is loaded from `run` on, and nothing at all after its loop.

    An import blocks the loop, and in a signal handler it may wait for ever.
    """
    ran = run(f"{HEADER}{parts}\nwatched({settings})\n")

    lines = ran.stdout.splitlines()
    first = next((at for at, line in enumerate(lines) if line.startswith("told ")), len(lines))
    assert (code, "begins") == (ran.returncode, lines[0]), ran.stderr
    assert said in ran.stderr
    assert [] == [line for line in lines if line.startswith("loads lifecycle")]
    assert [] == [line for line in lines[first:] if line.startswith("loads ")]


def test_nothing_is_loaded_to_answer_probes() -> None:
    """Nor is anything read: whoever looks at a page does not hold the service up."""
    pytest.importorskip("h11")
    ran = run(f"{HEADER}{PROBED}\nwatched(probes='127.0.0.1:0')\n")

    lines = ran.stdout.splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("told ComponentStarting"))
    assert 0 == ran.returncode, ran.stderr
    assert ["answered HTTP/1.1 200 OK"] * 4 == [s for s in lines if s.startswith("answered ")]
    assert [] == [line for line in lines[first:] if line.startswith("loads ")]
