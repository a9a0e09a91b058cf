from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.systemd.rig import running_systemd, why_not

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.systemd.rig import Manager


@pytest.fixture(scope="session")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """Give a `systemd --user`; in CI there has to be one."""
    reason = why_not()
    if reason is not None and not os.environ.get("CI"):
        pytest.skip(reason)
    assert reason is None, reason
    with running_systemd(tmp_path_factory.mktemp("systemd")) as manager:
        yield manager
