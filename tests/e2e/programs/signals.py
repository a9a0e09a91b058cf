"""What signals do to a program, beside what the scenarios show."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

import lifecycle
from lifecycle import Lifetime, Registry, Settings, requires, signals
from lifecycle.settings import Response
from tests.e2e.say import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND: Any = sys.argv[1]
MODE = sys.argv[2]
GOES_ON = [os.open(fifo, os.O_RDONLY) for fifo in sys.argv[3:]]  # as long as somebody holds these
shop = Registry("shop")


def signal_ourselves() -> bool:
    """What `plan()` asks here takes long, and meanwhile the program is to end."""
    if MODE == "while it is planned":
        os.kill(os.getpid(), signal.SIGTERM)
    return True


@shop.component(enabled=signal_ourselves)
async def database() -> AsyncIterator[str]:
    """Started, or not."""
    say("database opened")
    await be_interrupted("starts")
    yield "database"
    say("database closed")


@shop.preflight
def look() -> None:
    """Is called, or not."""
    say("looked")


@shop.service
async def work(life: Lifetime, database: str = requires(database)) -> None:
    """Does what the mode says, and finishes what is in flight."""
    system = life.system
    life.started()
    await system.ready(last)
    if MODE == "readiness":
        say("ready:", system.status().ready)
        signal.raise_signal(signal.SIGTERM)
        say("ready:", system.status().ready)
    elif MODE in CHILDREN:
        await anyio.to_thread.run_sync(CHILDREN[MODE])
    elif MODE == "ends":
        system.shut_down("it was enough")
    elif MODE == "in another thread":
        threading.Timer(0.5, take_a_signal).start()
    say("works")
    await be_interrupted("works")
    await life.wait_draining()
    await be_interrupted("ends")
    with life.hold("work"):
        await anyio.sleep(0.3)  # what comes now is not taken for a duplicate
        say("finishes")
        for fifo in GOES_ON:
            await anyio.to_thread.run_sync(os.read, fifo, 1)
        await anyio.sleep(0.5)
        say("finished because:", system.status().reason)


@shop.component(after=[work])
def last() -> None:
    """Once it is ready, the whole system is: the next thing that happens is `RUNNING`."""


async def be_interrupted(while_it: str) -> None:
    """Be interrupted here, where a mode says so, and no handler of ours takes that.

    The interrupt comes from here, since trio would raise it in whatever it runs at the moment.
    """
    if MODE == f"interrupts are left alone, and one comes while it {while_it}":
        signal.raise_signal(signal.SIGINT)
        if while_it == "starts":
            await anyio.sleep_forever()


def take_a_signal() -> None:
    """Have SIGTERM interrupt this thread, and not the one that waits in the event loop."""
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)


def wait_for_a_signal() -> None:
    """Be a child that takes its signals as children do."""
    say("child", os.getpid())
    signal.pause()


def fork() -> None:
    """Have a child by `os.fork`."""
    pid = os.fork()
    if pid == 0:
        try:
            wait_for_a_signal()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    say("child ended:", os.waitstatus_to_exitcode(status))


def start() -> None:
    """Have a child by multiprocessing."""
    child = multiprocessing.get_context("fork").Process(target=wait_for_a_signal)
    child.start()
    child.join()
    say("child ended:", child.exitcode)


def have_a_child_interrupted() -> None:
    """Have a child by `os.fork` that takes three interrupts, and goes on."""
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGINT, mine)
            for _ in range(3):
                signal.raise_signal(signal.SIGINT)
                time.sleep(0.2)  # blocks on purpose: what comes sooner is taken for a duplicate
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def leave_a_child() -> None:
    """Have a child by `os.fork` that goes on after its parent."""
    pid = os.fork()
    if pid == 0:
        os.close(1)
        os.close(2)
        signal.pause()
    say("child", pid)


CHILDREN = {
    "fork": fork,
    "multiprocessing": start,
    "a child is interrupted": have_a_child_interrupted,
    "a child is left": leave_a_child,
}


def run() -> None:
    """Run it, with a delay that only some signals skip."""
    delay = 80 if MODE == "delay" else 0
    settings = Settings(grace_period=100, drain_delay=delay)
    if MODE.startswith("interrupts are left alone"):
        settings = Settings(signals={signal.SIGTERM: Response.GRACEFUL})
    lifecycle.run(shop, settings, backend=BACKEND)
    say("run returned")


def mine(number: int, frame: object) -> None:
    """A handler that was there before."""


if MODE == "ends":
    ours = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)
    for number in ours:
        signal.signal(number, mine)
    run()
    say("restored:", all(signal.getsignal(number) is mine for number in ours))
elif MODE == "before the loop runs":
    with signals.handling():
        os.kill(os.getpid(), signal.SIGTERM)
        run()
elif MODE == "that cannot be taken":
    for wrong in (signal.SIGKILL, 1000):
        try:
            with signals.handling([signal.SIGTERM, signal.SIGTERM, wrong]):
                say("is never reached")
        except (OSError, ValueError) as error:
            say(type(error).__name__)
        say("restored:", signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
elif MODE == "above another handler":
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        first.enter_context(signals.handling())
        signal.signal(signal.SIGTERM, mine)
        second.enter_context(signals.handling([signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1]))
        first.close()
        say("taken:", signal.getsignal(signal.SIGTERM) is not mine)
    say("restored:", signal.getsignal(signal.SIGTERM) is mine)
    say("restored:", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    say("restored:", signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL)
elif MODE == "in a thread":
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
else:
    run()
