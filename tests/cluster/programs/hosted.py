"""The app of web.py as a component, on the server that is named, at a port."""

from __future__ import annotations

import importlib
import sys

import lifecycle
from lifecycle import Registry
from tests.cluster.programs.web import api

server = importlib.import_module(f"lifecycle.integrations.{sys.argv[1]}").server
shop = Registry("shop")
shop.add(server(api, port=int(sys.argv[2])), name="web", drain_timeout=15)
lifecycle.run(shop)
