"""The numbers of a run: timeouts, the grace period, addresses, and what each signal asks for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import attrs

from lifecycle._record import Record
from lifecycle.errors import SettingsError, seconds
from lifecycle.settings import _environment
from lifecycle.settings.address import EXPECTED as ADDRESS
from lifecycle.settings.address import is_address, parse_address
from lifecycle.settings.durations import Seconds, as_float, as_optional_float, rule
from lifecycle.settings.limits import NO_LIMITS, EnvName, Limits
from lifecycle.settings.policy import DEFAULT_SIGNALS, Response, check_policy, read_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KUBERNETES_DRAIN_DELAY: Final = 5.0
"""How long a removed endpoint may still be sent requests, in seconds: kube-proxy and ingress
controllers usually follow within 1 or 2, and the sleeps that people put into `preStop` are 5."""

K = TypeVar("K")
V = TypeVar("V")


def _frozen(mapping: Mapping[K, V]) -> Mapping[K, V]:
    # What is no mapping is left to the rule, which knows the name of the field.
    is_one = isinstance(cast("object", mapping), Mapping)
    return MappingProxyType(dict(mapping)) if is_one else mapping


# The generic one would not do as a converter: mypy takes its type variables for the types of the
# argument, and refuses every dict.
def _frozen_limits(limits: Mapping[Any, Limits]) -> Mapping[Any, Limits]:
    return _frozen(limits)


def _frozen_signals(signals: Mapping[int, Response]) -> Mapping[int, Response]:
    return _frozen(signals)


def _is_error_code(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599  # noqa: PLR2004


def _check_limits(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    mapping: Any = value
    if not isinstance(value, Mapping):
        expected = "a mapping from components, or their names, to Limits"
        raise SettingsError(attribute.name, value, expected)
    for key, limits in mapping.items():
        if not isinstance(limits, Limits):
            raise SettingsError(f"{attribute.name}[{key!r}]", limits, "Limits(…)")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Settings(Record):
    """What can be said of a run from outside: all durations are seconds.

    Raises:
        SettingsError: A value cannot be used, or `drain_delay` and the close's reserve leave
            nothing of the grace period.
    """

    start_timeout: float = attrs.field(default=60.0, converter=as_float, validator=Seconds())
    """For the start of each component that does not say its own, all retries included."""
    startup_timeout: float | None = attrs.field(
        default=None, converter=as_optional_float, validator=Seconds(none=True)
    )
    """For the start of the whole system; None: as long as its components may take."""
    drain_delay: float = attrs.field(default=0.0, converter=as_float, validator=Seconds(zero=True))
    """How long a system that was asked to shut down still serves, while traffic moves away.

    :meth:`from_env` makes it 5 under Kubernetes, where endpoints are removed later than SIGTERM
    arrives."""
    grace_period: float = attrs.field(default=25.0, converter=as_float, validator=Seconds())
    """From the request to shut down to the end of the process.

    25 is what Kubernetes' ``terminationGracePeriodSeconds`` (30) grants, less a margin; set it 5
    below yours. systemd grants 90 (``TimeoutStopSec``), Docker 10."""
    drain_timeout: float | None = attrs.field(
        default=None, converter=as_optional_float, validator=Seconds(zero=True, none=True)
    )
    """For the drain of each component that does not say its own; None: what the grace leaves; 0
    cuts off at once what is in flight."""
    close_reserve: float | None = attrs.field(
        default=None, converter=as_optional_float, validator=Seconds(none=True)
    )
    """What the drain must leave of the grace period, so that everything can be closed.

    None: 5, at most a fifth of the grace period; see :attr:`effective_close_reserve`."""
    stop_timeout: float = attrs.field(default=10.0, converter=as_float, validator=Seconds())
    """For the stop of each component that does not say its own."""
    check_timeout: float = attrs.field(default=0.8, converter=as_float, validator=Seconds())
    """For each check that a probe makes; a kubelet waits 1 s for it (``timeoutSeconds``)."""
    check_ttl: float = attrs.field(default=0.0, converter=as_float, validator=Seconds(zero=True))
    """For how long the answer of a check is good: probes that come within it are given the same.

    A kubelet asks every 10 s (``periodSeconds``), and is to be told what is so now; this is for a
    check that costs much, where others ask more often. Those who ask at the same time share one
    run of it in any case."""
    probes: str | None = attrs.field(
        default=None,
        validator=rule(lambda value: value is None or is_address(value), f"{ADDRESS}, or None"),
    )
    """The address at which probes are answered, as in ``":8081"``; None: nowhere."""
    unavailable_code: int = attrs.field(
        default=503, validator=rule(_is_error_code, "an HTTP status from 400 to 599")
    )
    """What probes answer where the answer is no."""
    probe_details: bool = attrs.field(
        default=False, validator=rule(lambda value: isinstance(value, bool), "True or False")
    )
    """Whether probes show the messages of errors, which may hold secrets, and not only types."""
    limits: Mapping[Any, Limits] = attrs.field(
        factory=dict[Any, Limits],
        converter=_frozen_limits,
        hash=False,
        validator=_check_limits,
    )
    """Timeouts of single components, by handle or by full name; they come before what the
    component's own declaration says."""
    signals: Mapping[int, Response] = attrs.field(
        default=DEFAULT_SIGNALS,
        converter=_frozen_signals,
        hash=False,
        validator=check_policy,
    )
    """What each signal asks for; one that is not in it is not touched."""
    watchdog: bool = attrs.field(
        default=True, validator=rule(lambda value: isinstance(value, bool), "True or False")
    )
    """Whether `run` ends the process when it outlives its grace period."""

    def __attrs_post_init__(self) -> None:
        """Check what concerns more than one field."""
        delay, reserve, grace = self.drain_delay, self.effective_close_reserve, self.grace_period
        if delay + reserve >= grace:
            name = f"drain_delay ({seconds(delay)}) + close_reserve ({seconds(reserve)})"
            raise SettingsError(name, delay + reserve, f"less than grace_period ({seconds(grace)})")

    @property
    def effective_close_reserve(self) -> float:
        """`close_reserve`, in seconds, with its default worked out."""
        if self.close_reserve is None:
            return min(5.0, self.grace_period / 5)
        return self.close_reserve

    def limits_of(self, handle: object, name: str) -> Limits:
        """Say the timeouts of one component, as far as these settings say any.

        The environment's come before those given by handle, and these before those given by name.
        Takes the same time however many limits there are.

        Args:
            handle: The component.
            name: Its full name in the plan, prefixes included.
        """
        if not self.limits:
            return NO_LIMITS
        by_env = self.limits.get(EnvName(name), NO_LIMITS)
        by_handle = self.limits.get(handle, NO_LIMITS)
        return by_env.over(by_handle).over(self.limits.get(name, NO_LIMITS))

    def unknown_limits(self, components: Iterable[tuple[object, str]]) -> tuple[Any, ...]:
        """Find the keys of `limits` that fit none of `components`: handles, names, `EnvName`.

        Args:
            components: Handle and full name of each component of a plan.
        """
        if not self.limits:
            return ()
        known: set[object] = set()
        for handle, name in components:
            known.update((handle, name, EnvName(name)))
        return tuple(key for key in self.limits if key not in known)

    @classmethod
    def from_env(
        cls,
        defaults: Settings | None = None,
        prefix: str = "LIFECYCLE_",
        *,
        environ: Mapping[str, str] | None = None,
    ) -> Settings:
        """Read settings from environment variables, so that operations need not touch the code.

        Each field but `limits` has the variable of its name: ``LIFECYCLE_GRACE_PERIOD=55``. A
        duration is a number of seconds without a unit; ``none`` is None where the field may be
        None; `watchdog` and `probe_details` are 1 or 0, or true or false; `signals` is a list such
        as ``SIGTERM=graceful, SIGHUP=ignore``, which is laid over the policy of `defaults`.

        The timeouts of one component are ``LIFECYCLE_<COMPONENT>_START_TIMEOUT``,
        ``…_DRAIN_TIMEOUT`` and ``…_STOP_TIMEOUT``: its name in upper case, each run of characters
        other than ASCII letters and digits as one ``_``, so that ``billing.read-replica`` is
        ``BILLING_READ_REPLICA``. Names that come out the same share their variables. They come
        before the other `limits`, and become keys of it, as :class:`EnvName`.

        An empty variable counts as not set. One that begins with `prefix` and means nothing is
        logged as a warning, to the logger ``lifecycle.settings``.

        Args:
            defaults: What holds where no variable says otherwise. Without it, ``Settings()``, and
                under Kubernetes (``KUBERNETES_SERVICE_HOST`` is set) a `drain_delay` of 5 s.
            prefix: With what the variables begin.
            environ: The variables; by default those of the process.

        Raises:
            SettingsError: A value cannot be used; the error names the variable.
            TypeError: The defaults are something else.
        """
        if defaults is not None:
            _refuse_other_defaults(defaults)
        environ = os.environ if environ is None else environ
        values, limits = _environment.read(environ, prefix, _READERS)
        variables = {field: prefix + field.upper() for field in values}
        if defaults is None:
            defaults = cls()
            if environ.get("KUBERNETES_SERVICE_HOST"):
                values.setdefault("drain_delay", KUBERNETES_DRAIN_DELAY)
                variables.setdefault("drain_delay", "drain_delay under Kubernetes")
        if "signals" in values:
            values["signals"] = {**defaults.signals, **values["signals"]}
        if limits:
            old = defaults.limits
            limits = {name: new.over(old.get(name, NO_LIMITS)) for name, new in limits.items()}
            values["limits"] = {**old, **limits}
        try:
            return attrs.evolve(defaults, **values)
        except SettingsError as error:
            # Each value has passed its own rule by now, so that it is their sum that is too much.
            name, expected = error.name, error.expected
            for field in ("drain_delay", "close_reserve"):
                name = name.replace(f"{field} (", f"{variables.get(field, field)} (")
            expected = expected.replace(
                "grace_period", variables.get("grace_period", "grace_period")
            )
            raise SettingsError(name, error.value, expected) from None


def _refuse_other_defaults(defaults: object) -> None:
    if isinstance(defaults, Settings):
        return
    message = f"from_env() takes Settings(…) as its defaults, not {defaults!r}"
    if isinstance(defaults, str):
        message += f". Is that the prefix? Write prefix={defaults!r}"
    raise TypeError(message)


def _read_code(text: str) -> int:
    if not (text.isascii() and text.isdigit() and _is_error_code(int(text))):
        message = "an HTTP status from 400 to 599"
        raise ValueError(message)
    return int(text)


def _read_probes(text: str) -> str | None:
    if text.lower() == "none":
        return None
    parse_address(text)
    return text


_READERS: Final[Mapping[str, Callable[[str], object]]] = MappingProxyType(
    {
        **{
            field.name: field.validator.read
            for field in attrs.fields(Settings)
            if isinstance(field.validator, Seconds)
        },
        "probes": _read_probes,
        "probe_details": _environment.read_bool,
        "signals": read_policy,
        "unavailable_code": _read_code,
        "watchdog": _environment.read_bool,
    }
)


def given_settings(settings: Settings | None, taker: str) -> Settings:
    """Take what was passed as settings; where nothing was, the defaults.

    Args:
        settings: what was passed.
        taker: what it was passed to.

    Raises:
        TypeError: that is something else.
    """
    if settings is None:
        return Settings()
    if not isinstance(cast("object", settings), Settings):
        message = f"{taker} takes Settings(…), not {settings!r}"
        raise TypeError(message)
    return settings
