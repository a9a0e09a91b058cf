"""The first moment of ``lifecycle run``: a signal waits until somebody handles it.

The kernel hands no signal to the first process of a container that has no handler for it: a SIGTERM
that came while `lifecycle` itself is still being imported would be lost, and the process would run
into SIGKILL. One that is blocked waits; `run` unblocks what it handles.

It lies outside of the package, since to import that is what takes long. The package imports it
first of all, so that ``python -m lifecycle run`` does the same as the script.
"""

from __future__ import annotations

import sys

_MODULE = ("lifecycle", "-mlifecycle")


def main() -> int:
    """Carry out the command line: the script ``lifecycle``."""
    _hold_signals()
    from lifecycle.cli import main  # noqa: PLC0415  to import it is what takes long

    return main()


def _hold_signals() -> None:
    if sys.argv[1:2] != ["run"]:
        return
    import signal  # noqa: PLC0415  costs more than all of this, and is not always needed

    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        held = {signal.SIGTERM, signal.SIGQUIT, signal.SIGINT}
        signal.pthread_sigmask(signal.SIG_BLOCK, held)


_argv: list[str] = getattr(sys, "argv", [])  # an embedded interpreter has none
# While a package is imported in order to be run, it is "-m", and not yet a path.
if _argv[:1] == ["-m"] and sys.orig_argv[-len(_argv)] in _MODULE:
    _hold_signals()
