"""What the Kubernetes how-to shows: a Dockerfile, and a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "examples" / "shop"
DOCKERFILE = (SHOP / "Dockerfile").read_text(encoding="utf-8")
MANIFEST = (SHOP / "kubernetes.yaml").read_text(encoding="utf-8")

DEPLOYMENT: dict[str, Any] = next(
    thing for thing in yaml.safe_load_all(MANIFEST) if thing["kind"] == "Deployment"
)
POD: dict[str, Any] = DEPLOYMENT["spec"]["template"]["spec"]
CONTAINER: dict[str, Any] = POD["containers"][0]
IMAGE: str = CONTAINER["image"]
BASE = DOCKERFILE.split()[1]
GRACE = int(POD["terminationGracePeriodSeconds"])

ENVIRON: dict[str, str] = {one["name"]: one["value"] for one in CONTAINER["env"]}
"""What the container is told."""
