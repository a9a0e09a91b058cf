"""``lifecycle manifest``: what Kubernetes has to be told of a registry. Nothing is started."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from typing import TYPE_CHECKING, Final

import attrs

import lifecycle
from lifecycle import Settings
from lifecycle.cli.target import has_main, load_to_look
from lifecycle.errors import SettingsError, seconds
from lifecycle.settings import parse_address

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lifecycle import Plan, Registry

TARGET = "what to write a manifest for"
HELP = "write a Kubernetes manifest, with the numbers that follow from a registry"
DESCRIPTION = """\
Write a Kubernetes manifest: a Deployment, or a Job where the registry has a main. Its probes, its
terminationGracePeriodSeconds and its environment follow from the plan, and from settings, which are
read from the environment and become part of the manifest. Where LIFECYCLE_GRACE_PERIOD is not set,
it is what the shutdown takes at worst; or, where something has no drain_timeout, and so drains for
as long as there is, the default of 25 seconds.
"""

_PREFIX: Final = "LIFECYCLE_"
_PROBES: Final = ":8081"
_LOOPBACK: Final = re.compile(r"localhost|127\..*|::1")
_NAME_LENGTH: Final = 63
_PLAIN: Final = re.compile(r"[A-Za-z][\w./-]*(:[\w.-]+)?")
_WORDS: Final = {"false", "n", "no", "null", "off", "on", "true", "y", "yes"}

MARGIN: Final = 5
"""How much later than `lifecycle` itself Kubernetes ends a process, in seconds."""
SPARE: Final = 1.5
"""What of the grace period is no component's: companions, and the end of the process."""
IMPORTS: Final = 15
"""What imports and preflight checks may take, in seconds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("--image", help="the image (default: the name, as it is)")
    parser.add_argument("--name", help="what to call it (default: as the registry is called)")


def command(options: argparse.Namespace) -> int:
    """Write the manifest of the target, and return 0.

    Raises:
        DefinitionError: the target, the declaration or the settings are wrong, or no kubelet could
            reach the probes.

    """
    settings = _settings()
    registry = load_to_look(options.target)
    if has_main(registry.plan(settings)) and not _said("DRAIN_DELAY"):
        settings = attrs.evolve(settings, drain_delay=0)  # nobody sends traffic to a job
    if not _said("GRACE_PERIOD"):
        settings = _with_grace_period(settings, registry)
    plan = registry.plan(settings)
    lifecycle.running(plan, settings)  # looks at the limits; nothing runs before it is entered
    if plan.worst_shutdown > settings.grace_period:
        sys.stderr.write(
            f"lifecycle: warning: the shutdown takes {seconds(plan.worst_shutdown)} at worst, and "
            f"the grace period is {seconds(settings.grace_period)}: `lifecycle check` says more\n"
        )
    name = _name(options.name or registry.name)
    lines = describe(plan, settings, name, options.image or name)
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def describe(plan: Plan, settings: Settings, name: str, image: str) -> Iterator[str]:
    """Write the manifest, line by line."""
    ends = has_main(plan)
    labels = f"{{ app: {_text(name)} }}"
    yield f"apiVersion: {'batch/v1' if ends else 'apps/v1'}"
    yield f"kind: {'Job' if ends else 'Deployment'}"
    yield "metadata:"
    yield f"  name: {_text(name)}"
    yield "spec:"
    if not ends:
        yield "  selector:"
        yield f"    matchLabels: {labels}"
        yield "  strategy:"
        yield "    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }"
        yield f"  minReadySeconds: {math.ceil(settings.drain_delay)} # the drain delay"
    yield "  template:"
    yield "    metadata:"
    yield f"      labels: {labels}"
    yield "    spec:"
    granted = math.ceil(settings.grace_period) + MARGIN
    yield f"      terminationGracePeriodSeconds: {granted} # the grace period + {MARGIN}"
    if ends:
        yield "      restartPolicy: Never"
    yield "      containers:"
    yield f"        - name: {_text(name)}"
    yield f"          image: {_text(image)}"
    yield "          env:"
    for variable, value in _environment(settings, probes=not ends).items():
        yield f"            - {{ name: {variable}, value: {json.dumps(value)} }}"
    if not ends:
        yield from _probes(plan, settings)
    yield "          terminationMessagePolicy: FallbackToLogsOnError"


def _probes(plan: Plan, settings: Settings) -> Iterator[str]:
    start = math.ceil(plan.worst_start) + IMPORTS
    worst = seconds(plan.worst_start)
    often = max(2, math.floor(settings.check_ttl) + 1)  # what comes sooner is told the same
    patience = math.floor(settings.check_timeout) + 1
    port = parse_address(settings.probes or _PROBES)[1]
    for probe, path, period, failures, why in (
        ("startup", "/startup", 1, start, f" # {worst} at worst + {IMPORTS} for imports"),
        ("liveness", "/health", 10, 3, ""),
        ("readiness", "/ready", often, 2, ""),
    ):
        yield f"          {probe}Probe:"
        yield f"            httpGet: {{ path: {path}, port: {port} }}"
        yield f"            periodSeconds: {period}"
        if patience > 1:
            yield f"            timeoutSeconds: {patience} # more than the check timeout"
        yield f"            failureThreshold: {failures}{why}"


def _settings() -> Settings:
    """Read settings as they will be there; what is not set about probes is the usual port."""
    environ = {"LIFECYCLE_PROBES": _PROBES, **{k: v for k, v in os.environ.items() if v}}
    settings = Settings.from_env(environ={**environ, "KUBERNETES_SERVICE_HOST": "there"})
    host, port = parse_address(settings.probes or _PROBES)
    if not port or _LOOPBACK.fullmatch(host or ""):
        expected = f"an address that a kubelet reaches, as in {_PROBES!r}"
        raise SettingsError(f"{_PREFIX}PROBES", settings.probes, expected)
    return settings


def _with_grace_period(settings: Settings, registry: Registry) -> Settings:
    """Give the grace period that the plan needs."""
    longer = attrs.evolve(settings, grace_period=2 * settings.grace_period)
    worst = registry.plan(settings).worst_shutdown
    if worst != registry.plan(longer).worst_shutdown:
        return settings  # a drain without a timeout takes all that there is
    return attrs.evolve(settings, grace_period=float(math.ceil(worst + SPARE)))


def _environment(settings: Settings, *, probes: bool) -> dict[str, str]:
    """What the container is told: what is said here, and what the rest follows from."""
    said = {name: value for name, value in os.environ.items() if name.startswith(_PREFIX) and value}
    return dict(sorted(said.items())) | {
        **({f"{_PREFIX}PROBES": settings.probes or _PROBES} if probes else {}),
        f"{_PREFIX}DRAIN_DELAY": f"{settings.drain_delay:g}",
        f"{_PREFIX}GRACE_PERIOD": f"{settings.grace_period:g}",
    }


def _said(setting: str) -> bool:
    return bool(os.environ.get(f"{_PREFIX}{setting}"))


def _name(text: str) -> str:
    """Make a name that Kubernetes takes: small letters, digits, and dashes between them."""
    return re.sub("[^a-z0-9]+", "-", text.lower())[:_NAME_LENGTH].strip("-") or "service"


def _text(value: str) -> str:
    """Write a text in YAML: in quotes, where it might be taken for something else."""
    is_plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return value if is_plain else json.dumps(value)
