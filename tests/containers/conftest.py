from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.containers.kit import BASE, DOCKERFILE, IMAGE, SHOP
from tests.containers.rig import running_podman, why_not

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.containers.rig import Podman


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """Give a podman that has the image of the shop; in CI there has to be one."""
    reason = why_not()
    if reason is not None and not os.environ.get("CI"):
        pytest.skip(reason)
    assert reason is None, reason
    with running_podman(tmp_path_factory.mktemp("podman"), BASE) as podman:
        podman.build(SHOP, DOCKERFILE, IMAGE)
        yield podman
