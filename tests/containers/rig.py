"""Containers for tests: podman, with storage, locks and a network of its own.

The machine's podman, its images and its ports are neither seen nor touched. What the images hold of
Python is the interpreter, and the packages, that the tests run with, as read-only volumes. That
takes root, and Linux.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

import lifecycle
from tests.e2e import kit

if TYPE_CHECKING:
    from collections.abc import Iterator

# What podman does by itself may not be permitted, or not be there: its limits are higher than those
# of a machine that is a container itself, crun wants control groups of version 2, and its logs and
# control groups want a systemd.
_CONFIGURATION = """\
[containers]
cgroups = "no-conmon"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
volumes = [{volumes}]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "runc"
tmp_dir = "{folder}/tmp"
"""
_STORAGE = """\
[storage]
driver = "vfs"
graphroot = "{folder}/graph"
runroot = "{folder}/run"
"""
# Stands in for the image that a Dockerfile begins with: a shell, and a `pip` that has installed
# everything already.
_BASE = """\
FROM scratch
COPY busybox /bin/
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN mkdir -p /tmp && chmod 1777 /tmp
RUN mkdir /stand-in && printf '#!/bin/sh\\n' >/stand-in/pip && chmod +x /stand-in/pip
{links}
ENV PATH=/stand-in:{path}:/usr/bin:/bin
"""
_HOLD = "busybox ip link set lo up && echo up && exec cat"
_BUILD = ("build", "--quiet", "--pull=never", "--isolation=chroot")


def why_not() -> str | None:
    """Say why there can be no containers here; None where there can."""
    packages = {"podman": "podman", "runc": "runc", "busybox": "busybox-static"}
    for tool, package in packages.items():
        if shutil.which(tool) is None:
            return f"{tool} is not installed (Debian: apt-get install {package} catatonit)"
    missing = [tool for tool in ("unshare", "nsenter", "curl") if shutil.which(tool) is None]
    if missing:
        return f"{missing[0]} is not installed"
    if os.geteuid() != 0:
        return "only root can run containers with a network of their own"
    return None


@attrs.frozen
class Podman:
    """Runs podman, and whatever is to be in the network of its containers."""

    folder: Path
    namespace: int
    """The process whose network it is."""

    def inside(self, *words: str | Path) -> contextlib.AbstractContextManager[kit.Process]:
        """Run a command in the network of the containers."""
        return kit.running(*self._enter, *words, env=self._env)

    def __call__(self, *words: str | Path) -> str:
        """Run podman; give what it says on stdout."""
        # A file, and no pipe: what watches over a container holds on to its stderr.
        with (self.folder / "errors").open("w+b") as errors:
            ran = subprocess.run(
                [*self._enter, "podman", *words],
                env={**os.environ, **self._env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                check=False,
                timeout=3 * kit.GENEROUS,
            )
            errors.seek(0)
            assert ran.returncode == 0, f"podman {words}: {errors.read().decode()}"
        return ran.stdout.strip()

    def build(self, folder: Path, dockerfile: str, tag: str) -> None:
        """Build an image."""
        path = self.folder / "Dockerfile"
        path.write_text(dockerfile, encoding="utf-8")
        self(*_BUILD, "--file", path, "--tag", tag, folder)

    def pid(self, container: str) -> int:
        """Give the process id, outside, of the first process of a container."""
        return int(self("inspect", "--format", "{{.State.Pid}}", container))

    def exit_code(self, container: str) -> int:
        """Wait for the end of a container; give its exit code."""
        return int(self("wait", container))

    @property
    def _enter(self) -> tuple[str, ...]:
        return ("nsenter", "--net", f"--target={self.namespace}")

    @property
    def _env(self) -> dict[str, str]:
        return {
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
        }


@contextlib.contextmanager
def running_podman(folder: Path, base: str) -> Iterator[Podman]:
    """Give a podman; at the end nothing of what it has started is left.

    Args:
        folder: for all that it keeps.
        base: the name of the image that Dockerfiles begin with.

    """
    volumes = ", ".join(f'"{path}:{path}:ro"' for path in _of_python())
    configuration = _CONFIGURATION.format(volumes=volumes, folder=folder)
    (folder / "containers.conf").write_text(configuration, encoding="utf-8")
    (folder / "storage.conf").write_text(_STORAGE.format(folder=folder), encoding="utf-8")
    with _network() as namespace:
        podman = Podman(folder, namespace)
        try:
            _build_base(podman, base)
            yield podman
        finally:
            podman("pod", "rm", "--all", "--force", "--time=0")
            podman("rm", "--all", "--force", "--time=0")


@contextlib.contextmanager
def _network() -> Iterator[int]:
    """Make a network with nothing but a loopback; it is there as long as a process in it."""
    holder = subprocess.Popen(
        ("unshare", "--net", "sh", "-c", _HOLD),  # noqa: S607  wherever it is
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:  # closes its stdin, and waits for it
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"up\n"
        yield holder.pid


def _build_base(podman: Podman, tag: str) -> None:
    folder = podman.folder / "base"
    folder.mkdir()
    shutil.copy(shutil.which("busybox") or "busybox", folder / "busybox")
    links = [f"RUN ln -s {path.readlink()} {path}" for path in _libraries() if path.is_symlink()]
    path = Path(sys.executable).parent
    podman.build(folder, _BASE.format(links="\n".join(links), path=path), tag)


def _libraries() -> list[Path]:
    """Where programs look for what they are linked to, beside /usr: links into that, mostly."""
    return [path for path in (Path("/lib"), Path("/lib64")) if path.exists()]


def _of_python() -> list[Path]:
    """The folders that this interpreter needs, none of them inside another."""
    source = Path(lifecycle.__file__).parents[1]
    found = {Path("/usr"), Path(sys.base_prefix), Path(sys.prefix), source}
    found |= {path for path in _libraries() if not path.is_symlink()}
    return sorted(path for path in found if not found & set(path.parents))
