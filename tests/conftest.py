"""What holds for all tests."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# In CI the same examples each time: what a change broke is red, and nothing else. By hand, and in
# longer runs, new ones each time.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
# On a machine that has much else to do no example is too slow.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("patient", patient)
settings.load_profile("patient")
