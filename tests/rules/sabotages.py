"""How each rule is broken on purpose, by one line: its tests have to notice."""

from __future__ import annotations

from typing import Final, NamedTuple


class Sabotage(NamedTuple):
    """One line of the source that is replaced, and the rule that does not hold any more by that."""

    rule: str
    breaks: str
    """What does not hold any more."""
    file: str
    """Below ``src/lifecycle``."""
    text: str
    """What is replaced; it is there once."""
    instead: str

    def __str__(self) -> str:
        """Name it by the rule, and what is broken."""
        return f"{self.rule}: {self.breaks}"


SABOTAGES: Final = [
    Sabotage(
        "G1",
        "a component may require one that is optional",
        "_planning/planner.py",
        "    _check_optional(drafts, optional, problems)\n",
        "",
    ),
    Sabotage(
        "G1",
        "an unknown component is left out",
        "_planning/resolving.py",
        'if place is None and relation == "requires":',
        "if False:",
    ),
    Sabotage(
        "G2",
        "ties go by the reverse order of registration",
        "_core/starting.py",
        "for which in sorted(free):",
        "for which in sorted(free, reverse=True):",
    ),
    Sabotage(
        "G2",
        "what is drained at the same time is drained in the order of start",
        "_core/draining.py",
        "for which in sorted(asked, reverse=True):",
        "for which in sorted(asked):",
    ),
    Sabotage(
        "G3",
        "what only comes after is no dependent",
        "_core/component.py",
        "(*node.requires, *node.wants, *node.after)",
        "(*node.requires, *node.wants)",
    ),
    Sabotage(
        "G3",
        "what requires a failed component starts all the same",
        "_core/starting.py",
        "if self._ledger.states[which] is not State.READY:",
        "if False:",
    ),
    Sabotage(
        "G4",
        "it recurses from one component to the next",
        "_core/draining.py",
        "waiting += self._has_drained(which)",
        "self._ask(self._has_drained(which))",
    ),
    Sabotage(
        "S1",
        "one preflight check runs after the other",
        "_engine/preflight.py",
        "            await one.over.wait()\n        return [one.failure",
        "            one.begin()\n            await one.over.wait()\n        return [one.failure",
    ),
    Sabotage(
        "S1",
        "only the first failure is told",
        "_engine/preflight.py",
        "return [one.failure for one in self._all if one.failure is not None]",
        "return [one.failure for one in self._all if one.failure is not None][:1]",
    ),
    Sabotage(
        "S2",
        "nothing starts while anything else does",
        "_core/starting.py",
        "if self._unsettled_of[dependent] or not self._is_pending(dependent):",
        "if State.STARTING in self._ledger.states or not self._is_pending(dependent):",
    ),
    Sabotage(
        "S3",
        "a failed start is no reason to give up",
        "_core/machine.py",
        "self._wind_down(Cause.START_FAILED, component)",
        "self._starting.settle(component)",
    ),
    Sabotage(
        "S3",
        "a start that unwinds holds nothing back",
        "_core/ledger.py",
        "if self.alive[component] or self.unwinding[component]:",
        "if self.alive[component]:",
    ),
    Sabotage(
        "S4",
        "a start that came too late is not unwound",
        "_engine/lives.py",
        "if self._has_yielded:",
        "if False:",
    ),
    Sabotage(
        "S4",
        "an object whose start has failed is stopped",
        "_engine/groups.py",
        "    if error is not None:\n        raise error",
        "    if error is not None:\n        await stop()\n        raise error",
    ),
    Sabotage(
        "S5",
        "the last cause comes first",
        "_engine/account.py",
        "self.errors.append(error)",
        "self.errors.insert(0, error)",
    ),
    Sabotage(
        "S6",
        "a shutdown during the start is a failed start",
        "_core/machine.py",
        "_BEFORE_THE_DRAIN):\n            self._wind_down(Cause.DRAIN)",
        "_BEFORE_THE_DRAIN):\n            self._wind_down("
        "Cause.START_FAILED if self.phase in _BEFORE_RUNNING else Cause.DRAIN)",
    ),
    Sabotage(
        "S6",
        "`running` does not say why it was closed",
        "_engine/running.py",
        'closed = ClosedError(None, engine.shutdown.reason or "")',
        'closed = ClosedError(None, "")',
    ),
    Sabotage(
        "R1",
        "a service that returns is no crash",
        "_engine/crashes.py",
        'elif self._engine.shutdown.reason is None and node.on_return == "crash":',
        "elif False:",
    ),
    Sabotage(
        "R1",
        "a crash ends nothing",
        "_core/machine.py",
        "self._wind_down(Cause.DRAIN, component)",
        "pass",
    ),
    Sabotage(
        "R2",
        "`started()` may be called twice",
        "_engine/service.py",
        "if self._said or not self.node.takes_lifetime",
        "if not self.node.takes_lifetime",
    ),
    Sabotage(
        "R2",
        "a service without a Lifetime is not cancelled at its turn",
        "_engine/service.py",
        "            if not self._drains:\n                self._scope.cancel()",
        "            pass",
    ),
    Sabotage(
        "R3",
        "who is unavailable is ready all the same",
        "_engine/rotation.py",
        "and not any(not engine.plan.components[c].optional for c in list(self._unavailable))",
        "",
    ),
    Sabotage(
        "R4",
        "the body is not in flight",
        "_core/draining.py",
        "return not self._in_flight.body and self.is_over_but_for_the_body",
        "return self.is_over_but_for_the_body",
    ),
    Sabotage(
        "R5",
        "the code of a SystemExit is lost",
        "_engine/shutdown.py",
        "self.request(reason, delay=delay, exit_code=code_of(error))",
        "self.request(reason, delay=delay)",
    ),
    Sabotage(
        "D1",
        "the last request decides",
        "_engine/shutdown.py",
        "        if self.reason is None:\n            self.asked_at",
        "        if True:\n            self.asked_at",
    ),
    Sabotage(
        "D2",
        "every shutdown leaves the drain delay its time",
        "_core/machine.py",
        "if delay and self.phase is Phase.RUNNING:",
        "if self.phase is Phase.RUNNING:",
    ),
    Sabotage(
        "D3",
        "everything drains at once",
        "_core/draining.py",
        "self._undrained_of = self._ledger.count_dependents()",
        "self._undrained_of = [0] * len(self._come)",
    ),
    Sabotage(
        "D3",
        "a component has drained though its work is in flight",
        "_core/draining.py",
        "if self._come[component] is _Drain.WORK and not self._in_flight.work_of(component):",
        "if self._come[component] is _Drain.WORK:",
    ),
    Sabotage(
        "D4",
        "nobody waits for work in flight",
        "_core/draining.py",
        "if self.awaits_body or self._in_flight.work:",
        "if self.awaits_body:",
    ),
    Sabotage(
        "D4",
        "the line after a hold that was cut runs",
        "_engine/in_flight.py",
        "if self.cut and (error is None or swallowed or self._in_flight.is_cancellation(error)):",
        "if False:",
    ),
    Sabotage(
        "D5",
        "everything stops at once",
        "_core/stopping.py",
        "self._unended_of = self._ledger.count_dependents()",
        "self._unended_of = [0] * len(self._unended_of)",
    ),
    Sabotage(
        "D6",
        "the error of a stop is not told",
        "_engine/stops.py",
        'self._engine.account.hook_failed(host.node, "stop", error)',
        "pass",
    ),
    Sabotage(
        "D7",
        "the close keeps no reserve",
        "_core/budget.py",
        "drains_end=end - close_reserve)",
        "drains_end=end)",
    ),
    Sabotage(
        "D7",
        "a hook leaves nothing to those that follow",
        "_core/budget.py",
        "max(left - followers * share, min(LEAST, left))",
        "left",
    ),
    Sabotage(
        "D8",
        "nothing is ever abandoned",
        "_engine/timing.py",
        "self.engine.keeper.at(min(self._patience_ends, last), self._abandon)",
        "self.engine.keeper.at(min(self._patience_ends, last), lambda: None)",
    ),
    Sabotage(
        "D9",
        "the crash of a companion counts",
        "_engine/companions.py",
        "engine.account.note(crash)",
        "engine.account.incomplete(crash)",
    ),
    Sabotage(
        "D10",
        "a cancellation from outside reaches the shutdown",
        "_engine/running.py",
        "with engine.loop.new_scope(shield=True):\n            while not engine.ended",
        "with engine.loop.new_scope():\n            while not engine.ended",
    ),
    Sabotage(
        "D11",
        "a check that fails after a shutdown was asked for is a fault",
        "_core/machine.py",
        "if self.phase is Phase.PREFLIGHT:",
        "if True:",
    ),
    Sabotage(
        "D11",
        "who asks after the end is told off",
        "_engine/shutdown.py",
        "is_over:\n            return\n        self.note_request(reason, trigger",
        "is_over:\n            raise RuntimeError\n        self.note_request(reason, trigger",
    ),
    Sabotage(
        "B1",
        "a gate is closed when its component drains",
        "_engine/gates.py",
        "OPEN = frozenset({State.READY, State.DRAINING, State.DRAINED})",
        "OPEN = frozenset({State.READY})",
    ),
    Sabotage(
        "B2",
        "who waits in a circle waits for ever",
        "_engine/gates.py",
        "if at == waiter:",
        "if False:",
    ),
    Sabotage(
        "B3",
        "who waits is not told why it failed",
        "_engine/gates.py",
        "if isinstance(error, RunError) and not isinstance(error, _OF_ITS_END):\n"
        "            return error.again()",
        "if False:\n            return error.again()",
    ),
    Sabotage(
        "B4",
        "who is waited for may wait for the end",
        "_engine/system.py",
        "            self._refuse_to_wait()\n            body = engine.body",
        "            body = engine.body",
    ),
    Sabotage(
        "P1",
        "a system that shuts down is not healthy",
        "probes/answers.py",
        "return status.phase is not Phase.RUNNING or _pass(",
        "return status.phase is Phase.RUNNING and _pass(",
    ),
    Sabotage(
        "P1",
        "a system is always ready",
        "probes/answers.py",
        "return status.ready\n",
        "return True\n",
    ),
    Sabotage(
        "P2",
        "an unknown component is as good as any",
        "probes/responses.py",
        "NOT_FOUND: Final = 404",
        "NOT_FOUND: Final = 200",
    ),
    Sabotage(
        "P3",
        "each asker has a run of the check of its own",
        "_engine/health.py",
        "        if self._runs:\n            return self._answered",
        "        if False:\n            return self._answered",
    ),
    Sabotage(
        "P3",
        "a check has all the time in the world",
        "_engine/health.py",
        "engine.keeper.at(self._began + engine.settings.check_timeout, self._expire)",
        "engine.keeper.at(float('inf'), self._expire)",
    ),
    Sabotage(
        "P4",
        "who is at the door when it ends is left outside",
        "probes/door.py",
        "for _ in range(BACKLOG):",
        "for _ in range(0):",
    ),
    Sabotage(
        "P4",
        "no descriptor is kept back for a probe",
        "probes/reserve.py",
        "self._held = socket.socket()",
        "pass",
    ),
    Sabotage(
        "P5",
        "probes say all there is",
        "probes/answers.py",
        "if system.settings.probe_details:",
        "if True:",
    ),
    Sabotage(
        "P6",
        "liveness is readiness",
        "integrations/grpc/_health.py",
        '"liveness": "health",',
        '"liveness": "ready",',
    ),
    Sabotage(
        "T1",
        "time is real",
        "_engine/loop.py",
        "            self.now = loop.time",
        "            self.now = __import__('time').monotonic",
    ),
    Sabotage(
        "T2",
        "a duration is what was given",
        "settings/durations.py",
        "        return float(value)\n    except OverflowError:",
        "        return value\n    except OverflowError:",
    ),
    Sabotage(
        "K1",
        "a drain that is cut off takes the stop with it",
        "_engine/timing.py",
        "        self._hook_scope.cancel()\n        self.cancelled_after",
        "        self._scope.cancel()\n        self.cancelled_after",
    ),
    Sabotage(
        "K2",
        "components live in tasks that belong to nobody",
        "_engine/tasks.py",
        'own.run(self._group.start_soon, self._guarded, run, name=f"lifecycle: {name}")',
        'own.run(__import__("asyncio").ensure_future, run())',
    ),
    Sabotage(
        "K3",
        "a thread has no context of the component's",
        "_engine/threads.py",
        "job.result = job.function()",
        "job.result = contextvars.Context().run(job.function)",
    ),
    Sabotage(
        "K4",
        "sync code runs on the loop",
        "_engine/calling.py",
        "if in_thread is None or calls.belongs_on_loop(function):",
        "if True:",
    ),
]
