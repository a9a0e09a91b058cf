from __future__ import annotations

import contextlib
import logging
import signal
from typing import Any

import attrs
import pytest

from lifecycle.errors import SettingsError
from lifecycle.settings import EnvName, Limits, Response, Settings


def read(**variables: str) -> Settings:
    """Read settings from these variables, prefixed, and no others."""
    return Settings.from_env(environ={f"LIFECYCLE_{key}": text for key, text in variables.items()})


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("START_TIMEOUT", "90", "start_timeout", 90),
        ("STARTUP_TIMEOUT", "300", "startup_timeout", 300),
        ("STARTUP_TIMEOUT", "none", "startup_timeout", None),
        ("DRAIN_DELAY", "0", "drain_delay", 0),
        ("DRAIN_DELAY", " 7.5 ", "drain_delay", 7.5),
        ("GRACE_PERIOD", "55", "grace_period", 55),
        ("DRAIN_TIMEOUT", "0", "drain_timeout", 0),
        ("DRAIN_TIMEOUT", "None", "drain_timeout", None),
        ("CLOSE_RESERVE", "1e1", "close_reserve", 10),
        ("STOP_TIMEOUT", "3", "stop_timeout", 3),
        ("CHECK_TIMEOUT", "0.25", "check_timeout", 0.25),
        ("PROBES", ":8081", "probes", ":8081"),
        ("PROBES", "none", "probes", None),
        ("WATCHDOG", "0", "watchdog", False),
        ("WATCHDOG", "1", "watchdog", True),
        ("WATCHDOG", "False", "watchdog", False),
        ("WATCHDOG", "true", "watchdog", True),
        ("WATCHDOG", "off", "watchdog", False),
        ("WATCHDOG", "YES", "watchdog", True),
    ],
)
def test_each_field_has_a_variable(variable: str, text: str, field: str, value: Any) -> None:
    """Operations can change any of the settings without touching the code."""
    before = Settings(startup_timeout=1, drain_timeout=1, probes=":1", watchdog=value is False)
    read = Settings.from_env(before, environ={f"LIFECYCLE_{variable}": text})

    assert getattr(read, field) == value


def test_without_variables_the_defaults_hold() -> None:
    """Nothing set is nothing changed."""
    assert Settings.from_env(environ={}) == Settings()
    mine = Settings(grace_period=99)
    assert Settings.from_env(mine, environ={"PATH": "/bin"}) == mine


def test_the_variables_of_the_process_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are what is meant when none are given."""
    monkeypatch.setenv("LIFECYCLE_GRACE_PERIOD", "42")

    assert Settings.from_env().grace_period == 42


def test_the_prefix_can_be_another() -> None:
    """Two programs in one pod can be told apart."""
    environ = {"SHOP_GRACE_PERIOD": "30", "LIFECYCLE_GRACE_PERIOD": "40"}

    assert Settings.from_env(prefix="SHOP_", environ=environ).grace_period == 30
    assert Settings.from_env(prefix="", environ={"GRACE_PERIOD": "30"}).grace_period == 30


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_variable_is_not_set(text: str) -> None:
    """So that a manifest can leave one out."""
    assert read(GRACE_PERIOD=text, WATCHDOG=text, DATABASE_START_TIMEOUT=text) == Settings()


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("GRACE_PERIOD", "30s", "a number of seconds, more than 0, written without a unit"),
        ("GRACE_PERIOD", "0", "more than 0"),
        ("GRACE_PERIOD", "inf", "a number of seconds"),
        ("GRACE_PERIOD", "nan", "a number of seconds"),
        ("GRACE_PERIOD", "1_0", "a number of seconds"),
        ("GRACE_PERIOD", "none", "a number of seconds, more than 0, written"),
        ("STARTUP_TIMEOUT", "never", "or `none`"),
        ("DRAIN_DELAY", "-1", "0 or more"),
        ("WATCHDOG", "maybe", "1 or 0, true or false, yes or no, on or off"),
        ("PROBES", "localhost", '":8081"'),
        ("SIGNALS", "SIGHUP", "`SIGTERM=graceful"),
        ("SIGNALS", "SIGHUP=soon", "`SIGTERM=graceful"),
        ("SIGNALS", "SIGKILL=fast", "`SIGTERM=graceful"),
        ("SIGNALS", "SIG_UNBLOCK=fast", "`SIGTERM=graceful"),  # no signal, and yet a number
        ("SIGNALS", "ITIMER_VIRTUAL=fast", "`SIGTERM=graceful"),  # likewise
        ("SIGNALS", "HUP=fast", "`SIGTERM=graceful"),
        ("SIGNALS", "SIGTERM=fast,", "`SIGTERM=graceful"),
        ("DATABASE_START_TIMEOUT", "0", "more than 0"),
        ("DATABASE_STOP_TIMEOUT", "none", "more than 0"),
        ("DATABASE_DRAIN_TIMEOUT", "5m", "0 or more"),
    ],
)
def test_a_bad_value_is_an_error_that_says_what_and_where(
    variable: str, text: str, expected: str
) -> None:
    """It names the variable, the value, and what is expected."""
    with pytest.raises(SettingsError) as caught:
        read(**{variable: text})

    assert caught.value.name == f"LIFECYCLE_{variable}"
    assert caught.value.value == text
    assert expected in caught.value.expected
    assert str(caught.value).startswith(f"LIFECYCLE_{variable} is {text!r}, but must be ")


def test_numbers_that_do_not_go_together_are_an_error_that_names_the_variables() -> None:
    """Each is fine by itself; what is too much is their sum."""
    with pytest.raises(SettingsError) as caught:
        read(DRAIN_DELAY="20", GRACE_PERIOD="20")

    assert str(caught.value) == (
        "LIFECYCLE_DRAIN_DELAY (20 s) + close_reserve (4 s) is 24.0, "
        "but must be less than LIFECYCLE_GRACE_PERIOD (20 s)"
    )


@pytest.mark.parametrize(
    ("defaults", "environ", "said"),
    [
        (
            Settings(drain_delay=5),
            {"OUR_CLOSE_RESERVE": "20"},
            (
                "drain_delay (5 s) + OUR_CLOSE_RESERVE (20 s) is 25.0, "
                "but must be less than grace_period (25 s)"
            ),
        ),
        (
            None,
            {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "OUR_GRACE_PERIOD": "6"},
            (
                "drain_delay under Kubernetes (5 s) + close_reserve (1.2 s) is 6.2, "
                "but must be less than OUR_GRACE_PERIOD (6 s)"
            ),
        ),
        (
            None,
            {
                "KUBERNETES_SERVICE_HOST": "10.0.0.1",
                "OUR_DRAIN_DELAY": "6",
                "OUR_GRACE_PERIOD": "6",
            },
            (
                "OUR_DRAIN_DELAY (6 s) + close_reserve (1.2 s) is 7.2, "
                "but must be less than OUR_GRACE_PERIOD (6 s)"
            ),
        ),
    ],
    ids=["the code's", "kubernetes", "all set"],
)
def test_no_variable_is_blamed_that_nobody_has_set(
    defaults: Settings | None, environ: dict[str, str], said: str
) -> None:
    """What a variable has set bears its name; the rest is called what it is called in code."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(defaults, "OUR_", environ=environ)

    assert str(caught.value) == said


def test_a_prefix_in_the_place_of_the_defaults() -> None:
    """It is refused, with the way to pass it."""
    given: Any = "OUR_"
    with pytest.raises(TypeError) as caught:
        Settings.from_env(given)

    assert str(caught.value) == (
        "from_env() takes Settings(…) as its defaults, not 'OUR_'. Is that the prefix? "
        "Write prefix='OUR_'"
    )


def test_defaults_that_are_something_else() -> None:
    """They are refused by name."""
    given: Any = {}
    with pytest.raises(TypeError) as caught:
        Settings.from_env(given)

    assert str(caught.value) == "from_env() takes Settings(…) as its defaults, not {}"


def test_signals_are_laid_over_the_policy() -> None:
    """To add SIGHUP is not to drop SIGTERM."""
    settings = read(SIGNALS="SIGHUP=ignore, SIGINT=graceful")

    assert settings.signals == {
        signal.SIGTERM: Response.GRACEFUL,
        signal.SIGQUIT: Response.GRACEFUL,
        signal.SIGINT: Response.GRACEFUL,
        signal.SIGHUP: Response.IGNORE,
    }


@pytest.mark.parametrize(
    "variable", ["DATABASE_START_TIMEOUT", "BILLING_READ_REPLICA_START_TIMEOUT"]
)
def test_each_component_has_variables(variable: str) -> None:
    """Any component's timeouts can be changed, whatever characters its name has."""
    settings = read(**{variable: "3"})
    name = {"D": "database", "B": "billing.read-replica"}[variable[0]]

    assert settings.limits_of(object(), name) == Limits(start=3)


def test_the_three_timeouts_of_a_component() -> None:
    """They have a variable each, and are one entry of the limits."""
    settings = read(DB_START_TIMEOUT="1", DB_DRAIN_TIMEOUT="0", DB_STOP_TIMEOUT="3")

    assert settings.limits == {EnvName("DB"): Limits(start=1, drain=0, stop=3)}
    (key,) = settings.limits
    assert key.variable == "LIFECYCLE_DB_START_TIMEOUT"


def test_a_component_that_is_called_as_a_hook() -> None:
    """A component called `drain` has its timeouts, and the system has its own."""
    settings = read(DRAIN_STOP_TIMEOUT="1", DRAIN_TIMEOUT="2", STOP_TIMEOUT="3")

    assert settings.limits_of(object(), "drain") == Limits(stop=1)
    assert (settings.drain_timeout, settings.stop_timeout) == (2, 3)


def test_the_environment_is_laid_over_limits_given_in_code() -> None:
    """What it says comes first, what it does not say stays."""
    handle = object()
    mine = Settings(limits={handle: Limits(start=1, stop=1), "web": Limits(start=5)})
    settings = Settings.from_env(mine, environ={"LIFECYCLE_DATABASE_START_TIMEOUT": "9"})

    assert settings.limits_of(handle, "database") == Limits(start=9, stop=1)
    assert settings.limits_of(object(), "web") == Limits(start=5)


def test_the_environment_can_be_laid_over_itself() -> None:
    """Settings that were read from variables can be the defaults for others."""
    first = read(DB_START_TIMEOUT="1", DB_STOP_TIMEOUT="1")
    second = Settings.from_env(first, environ={"LIFECYCLE_DB_START_TIMEOUT": "2"})

    assert second.limits == {EnvName("DB"): Limits(start=2, stop=1)}


KUBERNETES = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}


def test_under_kubernetes_the_drain_is_delayed() -> None:
    """Endpoints are removed later than SIGTERM arrives, so that 5 s of it are the default."""
    assert Settings.from_env(environ=KUBERNETES).drain_delay == 5
    assert Settings.from_env(environ={"KUBERNETES_SERVICE_HOST": ""}).drain_delay == 0


def test_under_kubernetes_what_somebody_says_holds() -> None:
    """The code's settings, or the variable, are not second-guessed."""
    assert Settings.from_env(Settings(), environ=KUBERNETES).drain_delay == 0
    assert Settings.from_env(environ={**KUBERNETES, "LIFECYCLE_DRAIN_DELAY": "1"}).drain_delay == 1


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give the warnings that were logged."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_variable_that_means_nothing_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A misspelt one is told, with what was probably meant."""
    assert read(GRACE_PERIODS="30", FROBNICATE="1") == Settings()
    assert warnings(caplog) == [
        (
            "LIFECYCLE_GRACE_PERIODS is no setting of lifecycle, and was ignored. "
            "Did you mean LIFECYCLE_GRACE_PERIOD?"
        ),
        "LIFECYCLE_FROBNICATE is no setting of lifecycle, and was ignored.",
    ]


def test_variables_that_kubernetes_makes_up_are_no_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A Service called `lifecycle`, or `lifecycle-x`, puts variables of our prefix into pods."""
    made_up = ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "X_SERVICE_HOST", "X_PORT"]
    made_up += ["PORT", "PORT_80_TCP", "PORT_80_TCP_PROTO", "PORT_80_TCP_PORT", "PORT_80_TCP_ADDR"]
    made_up += ["X_PORT_53_UDP_ADDR"]

    assert read(**dict.fromkeys(made_up, "tcp://10.0.0.2:80")) == Settings()
    assert warnings(caplog) == []


def test_with_an_empty_prefix_nothing_is_unknown(caplog: pytest.LogCaptureFixture) -> None:
    """All the variables of the process would be."""
    Settings.from_env(prefix="", environ={"HOME": "/root", "GRACE_PERIODS": "1"})

    assert warnings(caplog) == []


def test_no_field_but_limits_is_without_a_variable(caplog: pytest.LogCaptureFixture) -> None:
    """Each one that will ever be added can be read, or this fails."""
    for field in attrs.fields(Settings):
        with contextlib.suppress(SettingsError):
            read(**{field.name.upper(): "?"})

    assert warnings(caplog) == ["LIFECYCLE_LIMITS is no setting of lifecycle, and was ignored."]
