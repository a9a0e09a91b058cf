"""The numbers of the Kubernetes how-to's manifest follow from each other, as the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from web import shop

from lifecycle import Settings
from tests.containers.kit import (
    CONTAINER,
    DEPLOYMENT,
    DOCKERFILE,
    ENVIRON,
    GRACE,
    MANIFEST,
    POD,
    ROOT,
)

if TYPE_CHECKING:
    from lifecycle import Plan

PAGE = (ROOT / "docs" / "how-to" / "kubernetes.md").read_text(encoding="utf-8")
PROBES = {what: CONTAINER[f"{what}Probe"] for what in ("startup", "liveness", "readiness")}
SETTINGS = Settings.from_env(environ=ENVIRON)


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Make the plan of the shop that the image runs."""
    return shop.plan(SETTINGS)


def test_it_is_what_lifecycle_writes() -> None:
    """The commands of the page write it, but for two lines, and the Service."""
    lines = re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)
    scripts = Path(sys.executable).parent
    environ = {name: value for name, value in os.environ.items() if "LIFECYCLE" not in name}
    ran = subprocess.run(
        ["/bin/sh", "-ec", "\n".join(lines)],
        cwd=ROOT,
        env={**environ, "PATH": f"{scripts}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )

    ours = ("  replicas: 3\n", '            - { name: SHOP_HOST, value: "0.0.0.0" }\n')
    deployment, _, _ = MANIFEST.partition("---\n")
    for line in ours:
        assert line in deployment
        deployment = deployment.replace(line, "")
    assert deployment == ran.stdout


def seconds(probe: dict[str, Any]) -> int:
    """How long a probe has to fail until something happens."""
    return int(probe["periodSeconds"] * probe["failureThreshold"])


def test_the_grace_period(plan: Plan) -> None:
    """The shutdown fits into it, at worst, and it into what Kubernetes grants."""
    assert plan.worst_shutdown == 5 + 25 + 8
    assert plan.worst_shutdown <= SETTINGS.grace_period
    assert "preStop" not in CONTAINER.get("lifecycle", {})
    assert SETTINGS.grace_period + 5 == GRACE
    assert Settings().grace_period + 5 == 30  # without any of these numbers


def test_the_startup_probe(plan: Plan) -> None:
    """It lasts longer than the start, at worst: lifecycle is the one that says why."""
    assert SETTINGS.startup_timeout == plan.worst_start
    assert plan.worst_start + 15 == seconds(PROBES["startup"])
    progress_deadline = 600  # Kubernetes' own
    assert seconds(PROBES["startup"]) + DEPLOYMENT["spec"]["minReadySeconds"] < progress_deadline


def test_the_drain_delay() -> None:
    """It is what `lifecycle` uses under Kubernetes anyway, and a new pod gets the same."""
    assert Settings.from_env(environ={"KUBERNETES_SERVICE_HOST": "10.0.0.1"}).drain_delay == 5
    assert SETTINGS.drain_delay == 5
    assert SETTINGS.drain_delay == DEPLOYMENT["spec"]["minReadySeconds"]
    assert {"maxSurge": 1, "maxUnavailable": 0} == DEPLOYMENT["spec"]["strategy"]["rollingUpdate"]


def test_the_probes() -> None:
    """Each asks its own question, at the port that answers, and waits for it long enough."""
    assert {"startup": "/startup", "liveness": "/health", "readiness": "/ready"} == {
        what: probe["httpGet"]["path"] for what, probe in PROBES.items()
    }
    assert {SETTINGS.probes} == {f":{probe['httpGet']['port']}" for probe in PROBES.values()}
    assert all(SETTINGS.check_timeout < probe.get("timeoutSeconds", 1) for probe in PROBES.values())
    assert SETTINGS.check_ttl < PROBES["readiness"]["periodSeconds"]
    assert [4, 30] == [seconds(PROBES["readiness"]), seconds(PROBES["liveness"])]


def test_nothing_is_between_the_container_and_the_service() -> None:
    """The entry point is a list, and the command is not replaced by one of the manifest."""
    assert 'ENTRYPOINT ["python", "-m", "lifecycle", "run", "web:shop"]' in DOCKERFILE
    assert not {"command", "args"} & set(CONTAINER)
    assert 1 == len(POD["containers"])
