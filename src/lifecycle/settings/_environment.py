"""Settings as environment variables have them: which variable means what."""

from __future__ import annotations

import difflib
import logging
import re
from typing import TYPE_CHECKING, Any

from lifecycle.errors import SettingsError
from lifecycle.settings.durations import Seconds
from lifecycle.settings.limits import NO_LIMITS, EnvName, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger("lifecycle.settings")

# Compiled, and kept by `re`, where they are needed: rarely.
_LIMIT = r"(?P<name>.*[^_])_(?P<hook>START|DRAIN|STOP)_TIMEOUT"
_LIMIT_RULES = {"start": Seconds(), "drain": Seconds(zero=True), "stop": Seconds()}

# What Kubernetes puts into every container for a Service called `lifecycle` or `lifecycle-…`.
_SERVICE_LINK = r"(.*_)?(SERVICE_(HOST|PORT(_.*)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"


def read(
    environ: Mapping[str, str], prefix: str, readers: Mapping[str, Callable[[str], object]]
) -> tuple[dict[str, Any], dict[EnvName, Limits]]:
    """Read the fields, and the limits of components, that `environ` sets.

    A variable that is empty, or only blank, counts as not set: that is how manifests and compose
    files leave one out. One that means nothing is warned of, and no error: it is not always ours
    (Kubernetes makes some up from the names of Services).

    Args:
        environ: The variables.
        prefix: With what those that are meant begin.
        readers: For each field, what turns its text into its value, or raises ValueError with what
            is expected.

    Raises:
        SettingsError: A variable has a value that cannot be used.
    """
    fields = {field.upper(): field for field in readers}
    values: dict[str, Any] = {}
    limits: dict[EnvName, Limits] = {}
    for variable, raw in environ.items():
        text = raw.strip()
        if not variable.startswith(prefix) or not text:
            continue
        rest = variable[len(prefix) :]
        if rest in fields:
            field = fields[rest]
            values[field] = _read_one(variable, text, readers[field])
        elif match := re.fullmatch(_LIMIT, rest):
            name, hook = EnvName(match["name"], variable), match["hook"].lower()
            limit = Limits(**{hook: _read_one(variable, text, _LIMIT_RULES[hook].read)})
            limits[name] = limit.over(limits.get(name, NO_LIMITS))
        elif prefix and not re.fullmatch(_SERVICE_LINK, rest):
            _warn(prefix, rest, list(fields))
    return values, limits


def _read_one(variable: str, text: str, reader: Callable[[str], object]) -> Any:
    try:
        return reader(text)
    except ValueError as error:
        raise SettingsError(variable, text, str(error)) from None


def _warn(prefix: str, rest: str, known: list[str]) -> None:
    close = difflib.get_close_matches(rest, known, n=1)
    meant = f" Did you mean {prefix}{close[0]}?" if close else ""
    logger.warning("%s is no setting of lifecycle, and was ignored.%s", prefix + rest, meant)


_TRUTH = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def read_bool(text: str) -> bool:
    """Read ``1``, ``true``, ``yes``, ``on``, or their opposites, in any case.

    Raises:
        ValueError: It is none of these.
    """
    try:
        return _TRUTH[text.lower()]
    except KeyError:
        message = "1 or 0, true or false, yes or no, on or off"
        raise ValueError(message) from None
