"""The rules of the design, each in one line. Tests carry their ids: ``@pytest.mark.rule("S3")``."""

from __future__ import annotations

from typing import Final

RULES: Final = {
    "G1": "What can be wrong with a declaration is found by `plan()`, before any hook runs.",
    "G2": "The order is the same every time: what was registered first goes first.",
    "G3": "Any edge orders start, drain and stop; what requires a failed component is skipped, "
    "what only wants it starts.",
    "G4": "100 000 components work: nothing recurses, nothing is quadratic.",
    "S1": "Companions come first, then all preflight checks at once; every failure is told.",
    "S2": "A component starts the moment that what it needs is ready; there are no levels.",
    "S3": "A failed start gives all of it up: starts are cancelled, what was ready is drained and "
    "stopped in reverse, on a grace period of its own.",
    "S4": "What never became ready has no stop hook called; its own `finally` runs.",
    "S5": "All failures of the start and of the rollback are reported, the first cause first.",
    "S6": "A shutdown during the start does the same, and is clean; `running` raises "
    "`ClosedError`.",
    "R1": "A crash shuts the system down; what crashed keeps its resources until its turn to stop.",
    "R2": "A service is ready when it says so, and drains by returning; without a `Lifetime` it is "
    "ready at once, and cancelled at its turn.",
    "R3": "`unavailable` takes the system out of rotation, and changes no state and no gate.",
    "R4": "The body is in flight until it ends or awaits `closed()`; a crash cancels it.",
    "R5": "`SystemExit` asks for a shutdown with its code; `KeyboardInterrupt` for a fast one.",
    "D1": "The first request decides the reason, and when the grace began; readiness is off first.",
    "D2": "The drain delay serves as before; only a graceful request leaves it its time.",
    "D3": "A component drains when its dependents have; its own work belongs to its drain.",
    "D4": "Nothing is stopped before all is drained, or the time for that is over; what is cut "
    "then is counted, and told to whoever held it.",
    "D5": "A component stops when its dependents have stopped, independent ones at the same time.",
    "D6": "A hook that fails keeps no other from being called; all errors are told, in order.",
    "D7": "Delay, drain and close fit into the grace; the close keeps its reserve, and no hook "
    "uses up what those after it need.",
    "D8": "What goes on after its cancellation is abandoned and named; the process ends in time.",
    "D9": "Companions end last, within the reserve; one that does not start fails the start.",
    "D10": "A cancellation from outside is a request; the shutdown is shielded from it, and "
    "bounded.",
    "D11": "Shutting down again, before, during, after, or from anywhere, is no error.",
    "B1": "Too early is `NotReadyError`, too late `ClosedError`; a gate is open while others "
    "drain.",
    "B2": "A wait that could never end is a `DeadlockError` at once, with its path.",
    "B3": "Who waits for what fails, or is skipped, gets its error; what can no longer be: "
    "`ClosedError`.",
    "B4": "What the end waits for must not wait for the end: `DeadlockError`.",
    "P1": "`/health` is 200 from the first to the last; `/ready` only while it runs and all is "
    "well; `/startup` once the start is done.",
    "P2": "Each answer has JSON per component and the phase; an unknown component is 404.",
    "P3": "A check that raises, returns False or takes too long fails; there is one run at a time.",
    "P4": "Nothing about a shutdown keeps a probe from being answered.",
    "P5": "Probes name types and components, and no messages, unless asked to.",
    "P6": "The same over `grpc.health.v1`.",
    "T1": "All time is the event loop's, the watchdog's excepted: it can be virtual.",
    "T2": "Durations are seconds, and floats.",
    "K1": "A component lives in one task, in one cancel scope that is cancelled once at most.",
    "K2": "When `running` ends there is no task left.",
    "K3": "Context variables set in a start are there in the drain and the stop.",
    "K4": "Sync code never runs on the loop: each sync component has one thread of its own.",
}
