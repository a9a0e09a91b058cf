"""`lifecycle manifest`, as it is typed: what it writes is what Kubernetes reads."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SHOP = """\
    import anyio
    from lifecycle import Lifetime, Registry

    shop = Registry("The shop")

    @shop.component(start_timeout=7, stop_timeout=3)
    async def database():
        yield "database"

    @shop.service(requires=[database], start_timeout=2, drain_timeout=4, stop_timeout=1)
    async def orders(life: Lifetime):
        life.started()

    nightly = Registry("null")

    @nightly.main(drain_timeout=20, stop_timeout=1)
    async def bill():
        pass

    endless = Registry("endless")

    @endless.service(stop_timeout=8)
    async def stream(life: Lifetime):
        life.started()
"""


def manifest(
    folder: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder, with nothing but these settings."""
    (folder / "app.py").write_text(textwrap.dedent(SHOP), encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "lifecycle", "manifest", *arguments],
        cwd=folder,
        env=env or {},
        capture_output=True,
        text=True,
        check=False,
    )


def written(folder: Path, *arguments: str, **settings: str) -> tuple[dict[str, Any], ...]:
    """Write a manifest; gives its spec, that of its pod, and its container."""
    env = {f"LIFECYCLE_{name}": value for name, value in settings.items()}
    ran = manifest(folder, *arguments, env=env)
    assert (0, "") == (ran.returncode, ran.stderr)
    whole = yaml.safe_load(ran.stdout)
    pod = whole["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    return whole, pod, container


def environ(container: Mapping[str, Any]) -> dict[str, str]:
    """What it tells the container."""
    return {one["name"]: one["value"] for one in container["env"]}


def test_a_deployment(tmp_path: Path) -> None:
    """Every number follows from the plan: 5 s of delay, 4 of drain and 4 of stop; 9 of start."""
    whole, pod, container = written(tmp_path, "app:shop")

    assert ("apps/v1", "Deployment", {"name": "the-shop"}) == (
        whole["apiVersion"],
        whole["kind"],
        whole["metadata"],
    )
    assert whole["spec"]["minReadySeconds"] == 5
    labels = {"app": "the-shop"}
    assert labels == whole["spec"]["template"]["metadata"]["labels"]
    assert labels == whole["spec"]["selector"]["matchLabels"]
    assert ["the-shop"] * 2 == [container["name"], container["image"]]
    assert pod["terminationGracePeriodSeconds"] == 15 + 5
    assert environ(container) == {
        "LIFECYCLE_PROBES": ":8081",
        "LIFECYCLE_DRAIN_DELAY": "5",
        "LIFECYCLE_GRACE_PERIOD": "15",  # 13, and 1.5
    }
    assert container["startupProbe"] == {
        "httpGet": {"path": "/startup", "port": 8081},
        "periodSeconds": 1,
        "failureThreshold": 9 + 15,
    }
    assert container["livenessProbe"]["httpGet"] == {"path": "/health", "port": 8081}
    assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": 8081}


def test_settings_are_part_of_it(tmp_path: Path) -> None:
    """What is set when it is written is set in the container, and the rest follows from it."""
    settings = {
        "PROBES": "[::]:9",
        "DRAIN_DELAY": "2.5",
        "GRACE_PERIOD": "60.5",
        "CHECK_TIMEOUT": "1.5",
        "CHECK_TTL": "3",
        "DATABASE_START_TIMEOUT": "70",
    }
    arguments = ("app:shop", "--name", "Billing", "--image", "example/billing@sha256:0")
    whole, pod, container = written(tmp_path, *arguments, **settings, STOP_TIMEOUT="")

    assert {f"LIFECYCLE_{name}": value for name, value in settings.items()} == environ(container)
    assert ["billing", "example/billing@sha256:0"] == [container["name"], container["image"]]
    assert whole["spec"]["minReadySeconds"] == 3
    assert pod["terminationGracePeriodSeconds"] == 61 + 5
    assert container["startupProbe"]["failureThreshold"] == 70 + 2 + 15
    for what in ("startup", "liveness", "readiness"):
        probe = container[f"{what}Probe"]
        assert [9, 2] == [probe["httpGet"]["port"], probe["timeoutSeconds"]]
    assert container["readinessProbe"]["periodSeconds"] == 4


def test_a_job(tmp_path: Path) -> None:
    """What has a main ends by itself: a job, which nobody probes or sends traffic to."""
    whole, pod, container = written(tmp_path, "app:nightly")

    assert ["batch/v1", "Job"] == [whole["apiVersion"], whole["kind"]]
    assert whole["metadata"] == {"name": "null"}
    assert set(whole["spec"]) == {"template"}
    assert pod["restartPolicy"] == "Never"
    assert pod["terminationGracePeriodSeconds"] == 20 + 1 + 2 + 5
    assert environ(container) == {"LIFECYCLE_DRAIN_DELAY": "0", "LIFECYCLE_GRACE_PERIOD": "23"}
    assert not [name for name in container if name.endswith("Probe")]


def test_a_drain_that_has_no_end(tmp_path: Path) -> None:
    """The grace period is the usual one; that it may be too short is said, once, on stderr."""
    ran = manifest(tmp_path, "app:endless")

    assert ran.returncode == 0
    assert "terminationGracePeriodSeconds: 30 #" in ran.stdout
    assert ran.stderr == (
        "lifecycle: warning: the shutdown takes 28 s at worst, and the grace period is 25 s: "
        "`lifecycle check` says more\n"
    )


@pytest.mark.parametrize("address", ["127.0.0.1:8081", "localhost:8081", "[::1]:8081", ":0"])
def test_probes_that_no_kubelet_reaches(tmp_path: Path, address: str) -> None:
    """Are an error: 78, in one sentence."""
    ran = manifest(tmp_path, "app:shop", env={"LIFECYCLE_PROBES": address})

    assert ran.returncode == 78
    assert ran.stderr == (
        f"lifecycle: LIFECYCLE_PROBES is {address!r}, but must be an address that a kubelet "
        "reaches, as in ':8081'\n"
    )
