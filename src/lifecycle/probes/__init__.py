"""Probes: whether a system is healthy, ready and started, for those who ask from outside."""

from __future__ import annotations

from lifecycle.probes.answers import Answer, Probe, ask, shown

__all__ = ["Answer", "Probe", "ask", "shown"]
