"""The kubelet that the other tests here rely on: that it does what Kubernetes says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.cluster import kubelet
from tests.cluster.deployment import GENEROUS
from tests.cluster.kubelet import Ended, Pod
from tests.cluster.probing import Verdict
from tests.cluster.spec import Exec, HttpGet, PodSpec, Probe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CONTAINER = Path(__file__).parent / "programs" / "container.py"


def get(path: str) -> HttpGet:
    """Ask the container for a path."""
    return HttpGet("http", path)


def often(path: str, failures: int = 3, successes: int = 1) -> Probe:
    """Ask it again and again."""
    return Probe(
        asks=get(path),
        period=0.02,
        timeout=GENEROUS,
        failure_threshold=failures,
        success_threshold=successes,
    )


def run(
    until: Callable[[Pod], Awaitable[object]],
    *,
    answers: dict[str, list[Any]] | None = None,
    ignores_term: bool = False,
    **spec: Any,
) -> tuple[Pod, list[str]]:
    """Run a pod until something has happened to it; give it, and what its container has said."""
    env = {"ANSWERS": json.dumps(answers or {})}
    if ignores_term:
        env["IGNORES_TERM"] = "1"
    pods = []

    async def main() -> None:
        pod = Pod(
            "pod",
            PodSpec(
                command=lambda ports: (sys.executable, "-S", str(CONTAINER), str(ports["http"])),
                env=lambda _: env,
                ports=("http",),
                **{"startup": often("/started", failures=10_000), "restart_delay": 0.01, **spec},
            ),
            lambda _: None,
        )
        pods.append(pod)
        with anyio.fail_after(GENEROUS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(pod.run)
                await until(pod)
                pod.delete()
                await pod.gone.wait()

    anyio.run(main)
    (pod,) = pods
    return pod, [line.removeprefix("> ") for line in pod.output]


@pytest.mark.parametrize(
    ("answers", "verdicts"),
    [
        ([True, True, True, True], [None, True, True, True]),
        ([False, False, False, False], [None, None, False, False]),
        ([True, True, False, True, False, False], [None, True, None, None, None, None]),
        ([False, False, True, False, False, False], [None, None, None, None, None, False]),
    ],
)
def test_answers_count_in_a_row(answers: list[bool], verdicts: list[bool | None]) -> None:
    """A verdict needs as many alike, without another between, as its threshold says."""
    verdict = Verdict(often("/", failures=3, successes=2))

    assert [verdict.after(answer) for answer in answers] == verdicts


@pytest.mark.parametrize(
    ("probe", "until"), [("liveness", Pod.wait_ended), ("readiness", Pod.wait_ready)]
)
def test_nothing_else_is_asked_before_the_start(
    probe: str, until: Callable[[Pod], Awaitable[object]]
) -> None:
    """Neither liveness nor readiness; after it each is. Each by itself: they wait for nobody."""
    asked: dict[str, Any] = {probe: often(f"/{probe}")}
    _, said = run(
        until,
        answers={"/started": [503, 503, 503, 200], "/liveness": [503]},
        startup=often("/started", failures=1000),
        restart_delay=GENEROUS,
        **asked,
    )

    begins, *started = said[:5]
    assert (begins, started) == ("begins", ["GET /started"] * 4)
    assert {f"GET /{probe}", "SIGTERM"} == set(said[5:])


def test_a_start_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    """After so many answers in a row, and no more of them, the container is ended."""
    asked = tmp_path / "asked"
    no = Exec(("sh", "-c", f"echo asked >>{asked}; exit 1"))
    pod, _ = run(
        Pod.wait_ended,
        startup=Probe(asks=no, period=0.02, timeout=GENEROUS, failure_threshold=5),
        restart_delay=1000,
    )

    assert [ended.asked_by for ended in pod.history] == ["startup"]
    assert asked.read_text() == "asked\n" * 5


def test_what_is_not_alive_is_run_again() -> None:
    """After three failures in a row, and not after two; no answer in time is one of them."""
    pod, said = run(
        Pod.wait_restarted,
        answers={"/alive": [200, 500, 500, 200, 500, 404, "hang"]},
        # It is the last answer that does not come; the others may take a moment.
        liveness=Probe(asks=get("/alive"), period=0.02, timeout=5, failure_threshold=3),
    )

    assert pod.history[0] == Ended(3, "liveness", was_killed=False, took=pod.history[0].took)
    first = [what for what in said if what != "GET /started"]
    assert first[:9] == ["begins", *["GET /alive"] * 7, "SIGTERM"]


def test_readiness_comes_and_goes() -> None:
    """And nobody is ended for it."""

    async def until(pod: Pod) -> None:
        await pod.wait_ready()
        await pod.wait_not_ready()
        await pod.wait_ready()

    pod, said = run(
        until, answers={"/ready": [200, 500, 500, 200]}, readiness=often("/ready", failures=2)
    )

    assert [ended.asked_by for ended in pod.history] == ["deletion"]
    assert said[:6] == ["begins", "GET /started", *["GET /ready"] * 4]


@pytest.mark.parametrize("kind", ["http", "exec"])
def test_the_hook_comes_before_the_signal(kind: str) -> None:
    """A preStop hook has ended when SIGTERM is sent."""
    hook = get("/stop") if kind == "http" else Exec(("sh", "-c", "sleep 0.2"))
    pod, said = run(
        Pod.wait_ready, readiness=often("/ready"), pre_stop=hook, termination_grace_period=30
    )

    assert pod.history == [Ended(3, "deletion", was_killed=False, took=pod.history[0].took)]
    if kind == "http":
        assert [what for what in said if what != "GET /ready"] == [
            "begins",
            "GET /started",
            "GET /stop",
            "SIGTERM",
        ]


def test_what_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """When its grace period is over; the hook was a part of that, but 2 s are left at least."""
    assert kubelet.LEAST_GRACE == 2
    # Here more, so that a container that waits for its turn can say that it was told.
    monkeypatch.setattr(kubelet, "LEAST_GRACE", 5.0)
    pod, said = run(
        Pod.wait_ready,
        ignores_term=True,
        readiness=often("/ready"),
        pre_stop=get("/stop"),
        answers={"/stop": ["hang"]},
        termination_grace_period=0.5,
    )

    (ended,) = pod.history
    assert (ended.exit_code, ended.asked_by, ended.was_killed) == (137, "deletion", True)
    assert ended.took is not None
    assert ended.took >= 5
    assert "SIGTERM" in said
    assert said.count("begins") == 1
