from __future__ import annotations

import math
import signal
from typing import Any, cast

import attrs
import pytest

from lifecycle.errors import SettingsError
from lifecycle.settings import DEFAULT_SIGNALS, EnvName, Limits, Response, Settings

# Settings that a type checker would refuse.
make: Any = Settings

DURATIONS = [
    "start_timeout",
    "startup_timeout",
    "drain_delay",
    "grace_period",
    "drain_timeout",
    "close_reserve",
    "stop_timeout",
    "check_timeout",
]
MAY_BE_ZERO = {"drain_delay", "drain_timeout"}
MAY_BE_NONE = {"startup_timeout", "drain_timeout", "close_reserve"}


def test_defaults() -> None:
    """The defaults are those that the manual promises."""
    settings = attrs.asdict(Settings())

    assert settings.pop("signals") == {
        signal.SIGTERM: Response.GRACEFUL,
        signal.SIGQUIT: Response.GRACEFUL,
        signal.SIGINT: Response.FAST,
    }
    assert settings == {
        "start_timeout": 60,
        "startup_timeout": None,
        "drain_delay": 0,
        "grace_period": 25,
        "drain_timeout": None,
        "close_reserve": None,
        "stop_timeout": 10,
        "check_timeout": 0.8,
        "check_ttl": 0,
        "probes": None,
        "unavailable_code": 503,
        "probe_details": False,
        "limits": {},
        "watchdog": True,
    }


@pytest.mark.parametrize(
    ("grace", "reserve"), [(25, 5), (100, 5), (10, 2), (1, 0.2)], ids=lambda value: f"{value:g}"
)
def test_close_reserve_is_5_and_at_most_a_fifth_of_the_grace(grace: float, reserve: float) -> None:
    """By default the close keeps 5 s of the grace period, at most a fifth of it."""
    assert Settings(grace_period=grace).effective_close_reserve == reserve


def test_close_reserve_that_is_given_holds() -> None:
    """A reserve that is given is the reserve."""
    assert Settings(close_reserve=12).effective_close_reserve == 12


@pytest.mark.parametrize("field", DURATIONS)
@pytest.mark.parametrize("value", [True, -1, -0.1, math.nan, math.inf, -math.inf, 10**400, "5", []])
def test_what_is_no_duration_is_an_error_that_names_field_and_value(field: str, value: Any) -> None:
    """A duration is a finite number, not negative, not a bool, not a text."""
    with pytest.raises(SettingsError) as caught:
        make(**{field: value})

    assert caught.value.name == field
    assert "a number of seconds" in caught.value.expected


@pytest.mark.parametrize("field", DURATIONS)
def test_zero_is_a_duration_where_it_means_something(field: str) -> None:
    """No delay and no time to drain can be meant; a timeout of nothing cannot."""
    if field in MAY_BE_ZERO:
        assert getattr(make(**{field: 0}), field) == 0
    else:
        with pytest.raises(SettingsError, match=f"{field} is 0.0, but must be .* more than 0"):
            make(**{field: 0})


@pytest.mark.parametrize("field", DURATIONS)
def test_none_is_allowed_where_it_means_something(field: str) -> None:
    """Where there is something to work out, None says to do so; elsewhere it is a slip."""
    if field in MAY_BE_NONE:
        assert getattr(make(**{field: None}), field) is None
    else:
        with pytest.raises(SettingsError, match=f"{field} is None"):
            make(**{field: None})


@pytest.mark.rule("T2")
def test_durations_are_floats() -> None:
    """Whatever number was given, a duration is a float."""
    assert isinstance(Settings(grace_period=30).grace_period, float)
    assert isinstance(Limits(start=3).start, float)


@pytest.mark.parametrize(
    "numbers",
    [
        {"drain_delay": 20},
        {"drain_delay": 30},
        {"close_reserve": 25},
        {"drain_delay": 15, "close_reserve": 10},
        {"grace_period": 10, "drain_delay": 8},
    ],
    ids=str,
)
def test_a_delay_and_a_reserve_that_leave_nothing_are_an_error(numbers: dict[str, float]) -> None:
    """Delay and reserve together must be less than the grace period."""
    with pytest.raises(SettingsError, match=r"drain_delay .* close_reserve .* less than grace_per"):
        make(**numbers)


def test_a_delay_and_a_reserve_that_leave_something_are_none() -> None:
    """Anything less than the whole grace period will do."""
    assert Settings(drain_delay=19.9).drain_delay == 19.9


def test_it_is_frozen_with_all_that_it_holds() -> None:
    """Nothing in it can be changed after it was checked, not through what it was made of either."""
    given = {"web": Limits(start=3)}
    settings = Settings(limits=given)
    given["db"] = Limits(start=4)

    assert settings.limits == {"web": Limits(start=3)}
    untyped: Any = settings
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        untyped.grace_period = 3
    for mapping in (untyped.limits, untyped.signals, cast("Any", DEFAULT_SIGNALS)):
        with pytest.raises(TypeError):
            mapping[signal.SIGHUP] = None


def test_equal_settings_have_equal_hashes() -> None:
    """It can be a key, mappings and all."""
    one, other = (Settings(limits={"web": Limits(start=3)}) for _ in range(2))

    assert one == other
    assert hash(one) == hash(other)


@pytest.mark.parametrize(
    "address", [":8081", "0.0.0.0:8081", "localhost:0", "[::1]:8081", "8081", None]
)
def test_probes_take_an_address(address: str | None) -> None:
    """An address is host and port; the host may be absent."""
    assert make(probes=address).probes == address


@pytest.mark.parametrize(
    "address", ["", "localhost", ":", ":99999", "::1:80", "a b:80", 8081, True]
)
def test_probes_take_nothing_else(address: Any) -> None:
    """Anything else is an error that shows an example."""
    with pytest.raises(SettingsError, match=r'probes is .* as in ":8081"'):
        make(probes=address)


@pytest.mark.parametrize("value", [0, 1, None, "no"])
def test_watchdog_is_a_bool(value: Any) -> None:
    """Nothing that is merely true or false will do."""
    with pytest.raises(SettingsError, match=r"watchdog is .* True or False"):
        make(watchdog=value)


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        ({signal.SIGKILL: Response.FAST}, "a key of signals is .*SIGKILL"),
        ({signal.SIGSTOP: Response.FAST}, "a key of signals is .*SIGSTOP"),
        ({999: Response.FAST}, "a key of signals is 999, but must be a signal"),
        ({"SIGTERM": Response.FAST}, "a key of signals is 'SIGTERM'"),
        ({True: Response.FAST}, "a key of signals is True"),
        ({signal.SIGTERM: "fast"}, r"signals\[.*SIGTERM.*\] is 'fast'.*Response"),
        (None, "signals is None, but must be a mapping"),
    ],
)
def test_a_policy_maps_signals_that_can_be_handled_to_responses(policy: Any, problem: str) -> None:
    """What cannot be handled, or means nothing, is an error that names it."""
    with pytest.raises(SettingsError, match=problem):
        make(signals=policy)


@pytest.mark.parametrize(
    ("limits", "problem"),
    [({"web": 3}, r"limits\['web'\] is 3, but must be Limits"), ([], r"limits is \[\]")],
)
def test_limits_map_to_limits(limits: Any, problem: str) -> None:
    """A bare number does not say of which hook it is."""
    with pytest.raises(SettingsError, match=problem):
        make(limits=limits)


@pytest.mark.parametrize("hook", ["start", "drain", "stop"])
@pytest.mark.parametrize("value", [-1, True, math.inf, "3"])
def test_limits_are_durations(hook: str, value: Any) -> None:
    """The rules for durations hold for single components too."""
    with pytest.raises(SettingsError, match=f"{hook} is "):
        Limits(**{hook: value})


def test_only_a_drain_may_be_limited_to_nothing() -> None:
    """To cut off at once what is in flight can be meant."""
    assert Limits(drain=0).drain == 0
    for hook in ("start", "stop"):
        with pytest.raises(SettingsError):
            Limits(**{hook: 0})


class Handle:
    """Stands for a component's handle: compared by identity."""


def test_limits_are_found_by_handle_by_name_and_by_environment() -> None:
    """Each of the three ways to say whose limits they are finds them."""
    handle = Handle()
    settings = Settings(
        limits={
            handle: Limits(start=1),
            "billing.cache": Limits(start=2),
            EnvName("billing.read-replica"): Limits(start=3),
        }
    )

    assert settings.limits_of(handle, "database") == Limits(start=1)
    assert settings.limits_of(Handle(), "billing.cache") == Limits(start=2)
    assert settings.limits_of(Handle(), "billing.read-replica") == Limits(start=3)
    assert settings.limits_of(Handle(), "database") == Limits()


def test_the_environment_comes_before_the_handle_and_that_before_the_name() -> None:
    """Operations have the last word; each of the three numbers is looked up by itself."""
    handle = Handle()
    settings = Settings(
        limits={
            "database": Limits(start=1, drain=1, stop=1),
            handle: Limits(start=2, drain=2),
            EnvName("DATABASE"): Limits(start=3),
        }
    )

    assert settings.limits_of(handle, "database") == Limits(start=3, drain=2, stop=1)


def test_a_name_in_the_form_of_a_variable_is_no_name() -> None:
    """A component called DATABASE is one thing, what the environment calls so another."""
    assert EnvName("DATABASE") != "DATABASE"
    assert "DATABASE" != EnvName("DATABASE")
    assert EnvName("database") == EnvName("DATABASE")
    settings = Settings(limits={"DATABASE": Limits(start=1), EnvName("DATABASE"): Limits(stop=2)})

    assert len(settings.limits) == 2
    assert settings.limits_of(Handle(), "DATABASE") == Limits(start=1, stop=2)
    assert settings.limits_of(Handle(), "database") == Limits(stop=2)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("database", "DATABASE"),
        ("billing.read-replica", "BILLING_READ_REPLICA"),
        ("a..b", "A_B"),
        ("_private", "PRIVATE"),
        (
            "größe",
            "GR_SSE",
        ),  # `ö` is no letter that shells allow in a variable; ß is SS in capitals
    ],
)
def test_the_form_of_a_name_in_a_variable(name: str, form: str) -> None:
    """Upper case, and one underscore for each run of anything else."""
    assert str(EnvName(name)) == form


def test_limits_that_fit_no_component_are_found() -> None:
    """A name or a handle that the plan does not have can be told, however it was given."""
    there, absent = Handle(), Handle()
    settings = Settings(
        limits={
            there: Limits(),
            "web": Limits(),
            EnvName("CACHE"): Limits(),
            absent: Limits(),
            "wbe": Limits(),
            EnvName("CAHCE"): Limits(),
        }
    )

    unknown = settings.unknown_limits([(there, "db"), (Handle(), "web"), (Handle(), "cache")])

    assert unknown == (absent, "wbe", EnvName("CAHCE"))


def test_no_limits_fit() -> None:
    """Without limits there is nothing to look up."""
    assert Settings().limits_of(Handle(), "web") == Limits()
    assert Settings().unknown_limits([(Handle(), "web")]) == ()
