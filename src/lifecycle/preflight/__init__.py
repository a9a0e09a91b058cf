"""Checks to run before anything is started, for ``Registry.preflight``.

Each function gives an object that is called without arguments, has a ``name``, and raises
:class:`lifecycle.errors.PreflightError` where the check does not pass. Any other callable will do
as well.
"""

from __future__ import annotations

from lifecycle.preflight._command import command
from lifecycle.preflight._files import readable, writable
from lifecycle.preflight._space import free_space
from lifecycle.preflight._tcp import tcp
from lifecycle.preflight._variables import env

__all__ = ["command", "env", "free_space", "readable", "tcp", "writable"]
