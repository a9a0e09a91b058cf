"""The service of orders.py as a component, at a port, with channel arguments as ``name=number``."""

from __future__ import annotations

import functools
import sys

import lifecycle
from lifecycle import Registry
from lifecycle.integrations import grpc
from tests.cluster.programs import orders

shop = Registry("shop")
register = functools.partial(orders.add, is_hosted=True)
options = [(name, int(number)) for name, _, number in (arg.partition("=") for arg in sys.argv[2:])]
server = grpc.server(register, address=f"127.0.0.1:{sys.argv[1]}", options=options)
shop.add(server, name="api", drain_timeout=15)
lifecycle.run(shop)
