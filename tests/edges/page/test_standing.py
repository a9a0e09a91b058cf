"""What the page says of components and of the system, in words."""

from __future__ import annotations

from lifecycle.probes.page.assets import asset
from lifecycle.probes.page.headline import Headline, headline, progress, steps
from lifecycle.probes.page.standing import Standing, Tone, standing
from lifecycle.states import Outcome, Phase, State
from tests.edges.page.kit import Read, check, component, status_of

OK = component("api")
BROKEN = component("database", checks=(check(ok=False, error="TimeoutError"),))
FAILED = component("cache", State.FAILED, error="ConnectionError", optional=True)


def test_each_state_has_a_word_and_a_shape_of_its_own() -> None:
    """Nobody needs to see colours to tell two states apart."""
    told = [standing(component("a", state)) for state in State]

    assert [state.value for state in State] == [one.word for one in told]
    assert len(State) == len({one.shape for one in told})
    shapes = [str(one.attributes["id"]) for one in Read(asset("signs.svg")).all("symbol")]
    assert {f"sign-{one.shape}" for one in told} | {"sign-warning"} == set(shapes)


def test_a_component_that_is_ready_and_not_well() -> None:
    """What it says of itself comes before what its checks say."""
    gone = component("a", unavailable="no broker", checks=BROKEN.checks)

    assert standing(BROKEN) == Standing(
        "check fails", "warning", Tone.WARN, "ready, but a check of it fails"
    )
    assert standing(gone) == Standing(
        "unavailable", "warning", Tone.WARN, "ready, but says: no broker"
    )


def test_what_else_is_said_of_a_component() -> None:
    """The type of its error, and whom it waits for while it does."""
    waiting = component("a", State.PENDING, waits_for=("b", "c"))

    assert "ConnectionError" == standing(FAILED).note
    assert "waits for b, c" == standing(waiting).note
    assert standing(component("a", State.STOPPED, waits_for=("b",))).note is None


def words(told: Headline) -> tuple[str, str, Tone]:
    """Leave out the sign, which follows from the rest."""
    return told.word, told.sentence, told.tone


def test_a_system_that_runs() -> None:
    """Well, without an optional component, and not ready: each is told apart, and names names."""
    well = status_of(OK)
    degraded = status_of(OK, FAILED)
    not_ready = status_of(OK, BROKEN, FAILED)

    assert words(headline(well)) == (
        "Running",
        "Every component is ready, and work is taken.",
        Tone.GOOD,
    )
    assert words(headline(degraded)) == (
        "Running, degraded",
        "It takes work, and does without: cache (failed).",
        Tone.WARN,
    )
    assert words(headline(not_ready)) == (
        "Running, not ready",
        "No new work should be sent here: database (check fails).",
        Tone.WARN,
    )


def test_each_phase_has_a_headline() -> None:
    """One word for it, and a sentence that says what goes on."""
    told = {phase: headline(status_of(OK, phase=phase)) for phase in Phase}

    for phase, one in told.items():
        assert phase.value.capitalize() == one.word
        assert one.sentence.endswith(".")
    assert len(Phase) == len({one.sentence for one in told.values()})


def test_the_end() -> None:
    """Once every component has ended: how it went, and the exit code, whatever the phase."""
    ended = status_of(OK, phase=Phase.CLOSING, ready=False, outcome=Outcome.CLEAN, exit_code=0)
    crashed = status_of(OK, phase=Phase.CLOSED, outcome=Outcome.CRASHED, exit_code=70)

    assert words(headline(ended)) == (
        "Closed",
        "Everything ended as it should; exit code 0.",
        Tone.IDLE,
    )
    assert "A component crashed; exit code 70." == headline(crashed).sentence
    assert Tone.BAD is headline(crashed).tone


def test_the_way_of_a_life() -> None:
    """The phases in order, with the drain delay where there is one, or the way back."""

    def way(phase: Phase, *, delays: bool = False, **changed: object) -> str:
        phases, now = steps(status_of(OK, phase=phase, **changed), delays=delays)
        return " ".join(f"[{one}]" if one is now else one for one in phases)

    assert way(Phase.RUNNING) == "preflight starting [running] draining closing closed"
    assert way(Phase.STARTING, delays=True) == (
        "preflight [starting] running delaying draining closing closed"
    )
    assert way(Phase.ROLLING_BACK) == "preflight starting [rolling back] closed"
    assert way(Phase.CLOSING, outcome=Outcome.CLEAN) == (
        "preflight starting running draining closing [closed]"
    )
    assert way(Phase.CLOSED, outcome=Outcome.START_FAILED) == (
        "preflight starting rolling back [closed]"
    )


def test_how_far_it_is() -> None:
    """What is counted is where the system is going to."""
    drained = component("a", State.DRAINED)

    assert ("1 of 2 ready", "1 failed") == progress(status_of(OK, FAILED))
    assert ("1 of 2 drained", "") == progress(status_of(OK, drained, phase=Phase.DRAINING))
    assert ("0 of 2 stopped", "") == progress(status_of(OK, drained, phase=Phase.CLOSING))
