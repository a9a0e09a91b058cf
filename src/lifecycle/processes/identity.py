"""As whom a program runs."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable


class Identity(TypedDict, total=False):
    """The arguments of `subprocess.Popen` that say as whom."""

    user: int
    group: int
    extra_groups: Iterable[int]


if sys.platform == "win32":

    def identity(user: str | int | None) -> Identity:
        """Run it as the same user."""
        if user is None:
            return {}
        message = "a program cannot be run as another user on this platform"
        raise LookupError(message)

else:
    import pwd

    def identity(user: str | int | None) -> Identity:
        """Say to `subprocess.Popen` which user it is to be, and with it that user's groups.

        Raises:
            LookupError: There is no user of that name.
        """
        if user is None:
            return {}
        uid = pwd.getpwnam(user).pw_uid if isinstance(user, str) else user
        if uid == os.geteuid():
            return {}  # to say so to the system, one would have to be root
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            # Images often run under a number that nobody has given a name. It has no groups.
            return {"user": uid, "extra_groups": ()}
        groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
        return {"user": uid, "group": entry.pw_gid, "extra_groups": groups}
