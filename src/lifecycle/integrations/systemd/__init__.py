"""systemd: a service that says how it stands, and is given its sockets.

::

    if __name__ == "__main__":
        lifecycle.run(shop, companions=[systemd.notifier()])

Nothing has to be installed for it, and nothing happens where the program was not started by
systemd.
"""

from __future__ import annotations

from lifecycle.integrations.systemd._activation import sockets
from lifecycle.integrations.systemd._notifier import Notifier, notifier

__all__ = ["Notifier", "notifier", "sockets"]
