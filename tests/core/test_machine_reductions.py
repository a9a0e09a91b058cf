"""That nothing is missed by looking at one situation in place of many that have the same key.

What is compared here is what fits into a test run. `nox -s explore -- --compare` goes on to two
components.
"""

from __future__ import annotations

import pytest

from tests.core.explorer.comparing import compare
from tests.core.explorer.graphs import Graph, graphs


@pytest.mark.parametrize("graph", list(graphs(1)), ids=str)
def test_each_step_is_found_in_the_reduced_exploration(graph: Graph) -> None:
    """Also with two pieces of work at a time, where the reduced one has one."""
    assert compare(graph, holds=2)
